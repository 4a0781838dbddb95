// if_version, request ids and Transact.
import assert from 'node:assert/strict';
import { refused } from '../petra.mjs';

const OBJECT = 'account';
const json = (value) => ({ value: Buffer.from(JSON.stringify(value)), encoding: 'ENCODING_JSON' });

export async function if_version_guards_set_and_delete(petra) {
  const first = await petra.ask('Set', { key: 'guarded', value: Buffer.from('1'), if_version: 0 });
  const absentWanted = petra.ask('Set', { key: 'guarded', value: Buffer.from('2'), if_version: 0 });
  const conflict = await refused(absentWanted, 'ABORTED', 'VERSION_CONFLICT');
  assert.equal(conflict.metadata.version, first.version);
  const second = await petra.ask('Set', { key: 'guarded', value: Buffer.from('2'), if_version: first.version });
  assert.ok(BigInt(second.version) > BigInt(first.version));
  await refused(petra.ask('Delete', { key: 'guarded', if_version: first.version }), 'ABORTED', 'VERSION_CONFLICT');
  assert.equal((await petra.ask('Delete', { key: 'guarded', if_version: second.version })).deleted, true);
}

export async function version_grows_across_deletion(petra) {
  const { version } = await petra.ask('Set', { key: 'reborn', value: Buffer.from('1') });
  await petra.ask('Delete', { key: 'reborn' });
  const again = await petra.ask('Set', { key: 'reborn', value: Buffer.from('2') });
  assert.ok(BigInt(again.version) > BigInt(version));
}

export async function request_id_is_applied_once(petra) {
  const request = { key: 'once', delta: 1, request_id: Buffer.from('node-once-1') };
  const first = await petra.ask('Increment', request);
  await petra.ask('Increment', { key: 'once', delta: 10 });
  assert.deepEqual(await petra.ask('Increment', request), first);
  assert.equal((await petra.ask('Get', { key: 'once' })).entry.value.toString(), '11');
}

export async function request_id_belongs_to_one_request(petra) {
  const request_id = Buffer.from('node-once-2');
  await petra.ask('Set', { key: 'mine', value: Buffer.from('1'), request_id });
  const other = petra.ask('Set', { key: 'mine', value: Buffer.from('2'), request_id });
  await refused(other, 'INVALID_ARGUMENT', 'REQUEST_ID_REUSED');
  assert.equal((await petra.ask('Get', { key: 'mine' })).entry.value.toString(), '1');
}

export async function transaction_applies_every_operation(petra) {
  const { version } = await petra.ask('Set', { object: OBJECT, key: 'owner', ...json('ada') });
  const answer = await petra.ask('Transact', {
    object: OBJECT,
    conditions: [{ key: 'owner', version }, { key: 'closed', version: 0 }],
    operations: [
      { set: { key: 'log', ...json(['opened']) } },
      { increment: { key: 'balance', delta: 50, initial: 10 } },
      { touch: { key: 'log', ttl_ms: 60_000 } },
      { throttle: { key: 'rate', limit: 5, period_ms: 60_000 } },
      { get: { key: 'balance' } },
      { delete: { key: 'owner' } },
    ],
  });
  assert.equal(answer.committed, true);
  const kinds = ['set', 'increment', 'touch', 'throttle', 'get', 'delete'];
  assert.deepEqual(answer.results.map((result) => result.kind), kinds);
  assert.equal(answer.results[1].increment.value, '60');
  assert.equal(answer.results[2].touch.found, true);
  assert.equal(answer.results[3].throttle.remaining, 4);
  assert.equal(answer.results[4].get.entry.value.toString(), '60');
  assert.equal(answer.results[5].delete.deleted, true);
  assert.equal((await petra.ask('Get', { object: OBJECT, key: 'owner' })).entry, null);
}

export async function transaction_answers_with_the_conflicts(petra) {
  const { version } = await petra.ask('Set', { object: OBJECT, key: 'seat', ...json('taken') });
  const answer = await petra.ask('Transact', {
    object: OBJECT,
    conditions: [{ key: 'seat', version: 0 }, { key: 'ghost', version: 7 }],
    operations: [{ set: { key: 'seat', ...json('mine') } }],
  });
  assert.equal(answer.committed, false);
  assert.equal(answer.results.length, 0);
  assert.deepEqual(answer.conflicts.map((entry) => [entry.key, entry.version]), [['seat', version], ['ghost', '0']]);
  assert.equal(answer.conflicts[0].value.toString(), '"taken"');
  assert.equal((await petra.ask('Get', { object: OBJECT, key: 'seat' })).entry.version, version);
}

export async function failed_transaction_changes_nothing(petra) {
  await petra.ask('Set', { object: OBJECT, key: 'text', value: Buffer.from('no number') });
  const failing = petra.ask('Transact', {
    object: OBJECT,
    operations: [{ set: { key: 'before', ...json(1) } }, { increment: { key: 'text', delta: 1 } }],
  });
  await refused(failing, 'FAILED_PRECONDITION', 'NOT_AN_INTEGER');
  assert.equal((await petra.ask('Get', { object: OBJECT, key: 'before' })).entry, null);
}
