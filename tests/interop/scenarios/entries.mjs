// One entry at a time, and many: Get, Set, Delete, Touch, Increment, GetMany, SetMany, DeleteMany.
import assert from 'node:assert/strict';
import { refused } from '../petra.mjs';

const HOUR_MS = 3_600_000;

async function now(petra) {
  await petra.ask('Set', { key: 'clock', value: Buffer.from('x'), ttl_ms: HOUR_MS });
  return Number((await petra.ask('Get', { key: 'clock' })).entry.expires_at_ms) - HOUR_MS;
}

export async function set_then_get(petra) {
  const value = Buffer.from([0, 1, 254, 255]);
  const { version } = await petra.ask('Set', { key: 'bytes', value });
  assert.ok(BigInt(version) > 0n);
  const { entry } = await petra.ask('Get', { key: 'bytes' });
  assert.deepEqual(entry, { key: 'bytes', value, encoding: 'ENCODING_BYTES', version, expires_at_ms: '0' });
}

export async function json_keeps_its_encoding(petra) {
  const text = Buffer.from(JSON.stringify({ name: 'Пётр', stone: true }));
  await petra.ask('Set', { key: 'json', value: text, encoding: 'ENCODING_JSON' });
  const { entry } = await petra.ask('Get', { key: 'json' });
  assert.equal(entry.encoding, 'ENCODING_JSON');
  assert.deepEqual(JSON.parse(entry.value.toString()), { name: 'Пётр', stone: true });
}

export async function unusual_keys(petra) {
  for (const key of ['\u0000', 'a\u0000b', '\uffff', '😀', 'ключ', 'k'.repeat(2048)]) {
    await petra.ask('Set', { key, value: Buffer.from(key) });
    const { entry } = await petra.ask('Get', { key });
    assert.equal(entry.key, key);
    assert.equal(entry.value.toString(), key);
  }
}

export async function absent_key_has_no_entry(petra) {
  assert.equal((await petra.ask('Get', { key: 'nobody' })).entry, null);
}

export async function objects_keep_entries_apart(petra) {
  await petra.ask('Set', { key: 'apart', value: Buffer.from('flat') });
  await petra.ask('Set', { object: 'room', key: 'apart', value: Buffer.from('room') });
  assert.equal((await petra.ask('Get', { key: 'apart' })).entry.value.toString(), 'flat');
  assert.equal((await petra.ask('Get', { object: 'room', key: 'apart' })).entry.value.toString(), 'room');
  assert.equal((await petra.ask('Get', { object: 'hall', key: 'apart' })).entry, null);
}

export async function delete_says_whether_there_was_an_entry(petra) {
  await petra.ask('Set', { key: 'short', value: Buffer.from('x') });
  assert.equal((await petra.ask('Delete', { key: 'short' })).deleted, true);
  assert.equal((await petra.ask('Delete', { key: 'short' })).deleted, false);
  assert.equal((await petra.ask('Get', { key: 'short' })).entry, null);
}

export async function buffered_write_is_read_back(petra) {
  await petra.ask('Set', { key: 'buffered', value: Buffer.from('b'), durability: 'DURABILITY_BUFFERED' });
  assert.equal((await petra.ask('Get', { key: 'buffered' })).entry.value.toString(), 'b');
}

export async function ttl_is_an_absolute_expiry(petra) {
  const before = await now(petra);
  await petra.ask('Set', { key: 'ttl', value: Buffer.from('x'), ttl_ms: HOUR_MS });
  const after = await now(petra);
  const expires = Number((await petra.ask('Get', { key: 'ttl' })).entry.expires_at_ms);
  assert.ok(expires >= before + HOUR_MS && expires <= after + HOUR_MS);
}

export async function keep_ttl_keeps_and_plain_set_removes(petra) {
  await petra.ask('Set', { key: 'keep', value: Buffer.from('1'), ttl_ms: HOUR_MS });
  const { expires_at_ms } = (await petra.ask('Get', { key: 'keep' })).entry;
  await petra.ask('Set', { key: 'keep', value: Buffer.from('2'), keep_ttl: true });
  assert.equal((await petra.ask('Get', { key: 'keep' })).entry.expires_at_ms, expires_at_ms);
  await petra.ask('Set', { key: 'keep', value: Buffer.from('3') });
  assert.equal((await petra.ask('Get', { key: 'keep' })).entry.expires_at_ms, '0');
}

export async function expired_entry_is_gone(petra) {
  await petra.ask('Set', { key: 'brief', value: Buffer.from('x'), ttl_ms: 1 });
  const end = Date.now() + 10_000;
  while ((await petra.ask('Get', { key: 'brief' })).entry !== null) assert.ok(Date.now() < end, 'it never expired');
}

export async function touch_sets_and_removes_the_expiry(petra) {
  const { version } = await petra.ask('Set', { key: 'touch', value: Buffer.from('x') });
  const touched = await petra.ask('Touch', { key: 'touch', ttl_ms: HOUR_MS });
  assert.equal(touched.found, true);
  const { entry } = await petra.ask('Get', { key: 'touch' });
  assert.equal(entry.expires_at_ms, touched.expires_at_ms);
  assert.equal(entry.version, version);
  assert.deepEqual(await petra.ask('Touch', { key: 'touch' }), { found: true, expires_at_ms: '0' });
  assert.equal((await petra.ask('Touch', { key: 'nobody', ttl_ms: 5 })).found, false);
}

export async function increment_counts_in_64_bits(petra) {
  assert.equal((await petra.ask('Increment', { key: 'count', delta: 5, initial: 100 })).value, '105');
  assert.equal((await petra.ask('Increment', { key: 'count', delta: -205 })).value, '-100');
  const { entry } = await petra.ask('Get', { key: 'count' });
  assert.equal(entry.value.toString(), '-100');
  assert.equal(entry.encoding, 'ENCODING_JSON');
  await petra.ask('Set', { key: 'count', value: Buffer.from('9223372036854775806'), encoding: 'ENCODING_JSON' });
  assert.equal((await petra.ask('Increment', { key: 'count', delta: 1 })).value, '9223372036854775807');
  await refused(petra.ask('Increment', { key: 'count', delta: 1 }), 'FAILED_PRECONDITION', 'INTEGER_OVERFLOW');
}

export async function many_at_once_flat_and_in_an_object(petra) {
  for (const object of ['', 'many']) {
    const items = ['c', 'a', 'b'].map((key) => ({ key: `many-${key}`, value: Buffer.from(key) }));
    const { versions } = await petra.ask('SetMany', { object, items });
    assert.equal(versions.length, 3);
    const keys = ['many-b', 'many-nobody', 'many-c', 'many-a'];
    const { entries } = await petra.ask('GetMany', { object, keys });
    assert.deepEqual(entries.map((entry) => entry.key), ['many-b', 'many-c', 'many-a']);
    assert.deepEqual(entries.map((entry) => entry.version), [versions[2], versions[0], versions[1]]);
    assert.equal((await petra.ask('DeleteMany', { object, keys })).deleted, '3');
    assert.equal((await petra.ask('GetMany', { object, keys })).entries.length, 0);
  }
}
