// List in both directions with every bound, pages to the end, and Clear.
import assert from 'node:assert/strict';
import { refused } from '../petra.mjs';

const KEYS = ['a', 'a\u0000', 'ab', 'b', 'b1', 'b2', 'b3', 'c', 'é', '\uffff', '😀'];
const byBytes = (left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right));

async function filled(petra, object, keys = KEYS) {
  await petra.ask('Clear', { object });
  await petra.ask('SetMany', { object, items: keys.map((key) => ({ key, value: Buffer.from(`v${key}`) })) });
}

// All pages of a listing: the entries of each.
async function pages(petra, request) {
  const found = [];
  let page_token = Buffer.alloc(0);
  do {
    const page = await petra.ask('List', { ...request, page_token });
    found.push(page.entries);
    page_token = page.next_page_token;
  } while (page_token.length > 0);
  return found;
}

async function keysOf(petra, request) {
  return (await pages(petra, request)).flat().map((entry) => entry.key);
}

export async function order_is_that_of_the_bytes(petra) {
  for (const object of ['', 'ordered']) {
    await filled(petra, object);
    assert.deepEqual(await keysOf(petra, { object }), [...KEYS].sort(byBytes));
    assert.deepEqual(await keysOf(petra, { object, reverse: true }), [...KEYS].sort(byBytes).reverse());
  }
}

export async function pages_join_without_gap(petra) {
  for (const object of ['', 'paged']) {
    await filled(petra, object);
    for (const reverse of [false, true]) {
      const found = await pages(petra, { object, limit: 3, reverse });
      assert.ok(found.every((page) => page.length <= 3));
      const expected = [...KEYS].sort(byBytes);
      assert.deepEqual(found.flat().map((entry) => entry.key), reverse ? expected.reverse() : expected);
    }
  }
}

export async function bounds_hold_in_both_directions(petra) {
  const object = 'bounded';
  await filled(petra, object);
  for (const reverse of [false, true]) {
    const turn = (keys) => (reverse ? [...keys].reverse() : keys);
    assert.deepEqual(await keysOf(petra, { object, reverse, prefix: 'b' }), turn(['b', 'b1', 'b2', 'b3']));
    assert.deepEqual(await keysOf(petra, { object, reverse, start: 'ab', end: 'b2' }), turn(['ab', 'b', 'b1']));
    assert.deepEqual(await keysOf(petra, { object, reverse, start_after: 'ab', end: 'b2' }), turn(['b', 'b1']));
    assert.deepEqual(await keysOf(petra, { object, reverse, prefix: 'b', start_after: 'b1' }), turn(['b2', 'b3']));
  }
}

export async function keys_only_leaves_the_values_out(petra) {
  await filled(petra, 'bare', ['k']);
  const [[entry]] = await pages(petra, { object: 'bare', keys_only: true });
  assert.equal(entry.key, 'k');
  assert.equal(entry.value.length, 0);
  assert.ok(BigInt(entry.version) > 0n);
}

export async function token_belongs_to_its_listing(petra) {
  await filled(petra, 'token');
  const { next_page_token } = await petra.ask('List', { object: 'token', limit: 2 });
  const other = petra.ask('List', { object: 'token', prefix: 'b', limit: 2, page_token: next_page_token });
  await refused(other, 'INVALID_ARGUMENT', 'INVALID_PAGE_TOKEN');
}

export async function clear_removes_what_has_the_prefix(petra) {
  for (const object of ['', 'cleared']) {
    await filled(petra, object);
    assert.equal((await petra.ask('Clear', { object, prefix: 'b' })).deleted, '4');
    assert.deepEqual(await keysOf(petra, { object, prefix: 'b' }), []);
    assert.equal((await petra.ask('Clear', { object })).deleted, String(KEYS.length - 4));
    assert.deepEqual(await keysOf(petra, { object }), []);
  }
}
