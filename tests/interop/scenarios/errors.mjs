// What a failed call says, decoded from grpc-status-details-bin.
import assert from 'node:assert/strict';
import { refused } from '../petra.mjs';

export async function wrong_field_is_named(petra) {
  const details = await refused(petra.ask('Get', { key: '' }), 'INVALID_ARGUMENT', 'INVALID_KEY');
  assert.deepEqual(details.fields, ['key']);
}

export async function limits_are_refused(petra) {
  const long = petra.ask('Get', { key: 'k'.repeat(2049) });
  await refused(long, 'INVALID_ARGUMENT', 'INVALID_KEY');
  const large = petra.ask('Set', { key: 'large', value: Buffer.alloc(2 * 1024 * 1024 + 1) });
  await refused(large, 'INVALID_ARGUMENT', 'VALUE_TOO_LARGE');
  const many = petra.ask('GetMany', { keys: Array.from({ length: 1025 }, (_, index) => `k${index}`) });
  await refused(many, 'INVALID_ARGUMENT', 'BATCH_TOO_LARGE');
}

export async function increment_needs_an_integer(petra) {
  await petra.ask('Set', { key: 'word', value: Buffer.from('"word"'), encoding: 'ENCODING_JSON' });
  const details = await refused(petra.ask('Increment', { key: 'word', delta: 1 }), 'FAILED_PRECONDITION', 'NOT_AN_INTEGER');
  assert.ok(details.message.includes(' '), 'the message is a sentence');
}

export async function transaction_needs_an_object(petra) {
  await refused(petra.ask('Transact', { operations: [{ get: { key: 'k' } }] }), 'INVALID_ARGUMENT', 'INVALID_OBJECT');
}
