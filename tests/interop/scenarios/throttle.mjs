// Throttle with its three algorithms. The periods are so long that no pause of the machine crosses one.
import assert from 'node:assert/strict';
import { refused } from '../petra.mjs';

const PERIOD_MS = 100 * 24 * 3_600_000;

function scenario(algorithm) {
  return async (petra) => {
    const request = { key: `limit-${algorithm}`, algorithm, limit: 3, period_ms: PERIOD_MS };
    const peeked = await petra.ask('Throttle', { ...request, peek: true });
    assert.deepEqual([peeked.allowed, peeked.remaining], [true, 3]);
    for (const remaining of [2, 1, 0]) {
      const answer = await petra.ask('Throttle', request);
      assert.equal(answer.allowed, true);
      assert.equal(answer.limit, 3);
      assert.equal(answer.remaining, remaining);
      assert.equal(answer.retry_after_ms, '0');
      assert.ok(Number(answer.reset_after_ms) > 0);
    }
    const denied = await petra.ask('Throttle', request);
    assert.equal(denied.allowed, false);
    assert.ok(Number(denied.retry_after_ms) > 0 && Number(denied.retry_after_ms) <= 2 * PERIOD_MS);
  };
}

export const gcra = scenario('ALGORITHM_GCRA');
export const fixed_window = scenario('ALGORITHM_FIXED_WINDOW');
export const sliding_window = scenario('ALGORITHM_SLIDING_WINDOW');

export async function cost_and_burst(petra) {
  const request = { key: 'limit-burst', limit: 3, period_ms: PERIOD_MS, burst: 10, cost: 8 };
  const answer = await petra.ask('Throttle', request);
  assert.deepEqual([answer.allowed, answer.limit, answer.remaining], [true, 10, 2]);
  await refused(petra.ask('Throttle', { ...request, cost: 11 }), 'INVALID_ARGUMENT', 'INVALID_THROTTLE');
}

export async function other_entries_are_no_limits(petra) {
  await petra.ask('Set', { key: 'limit-other', value: Buffer.from('a value') });
  const wrong = petra.ask('Throttle', { key: 'limit-other', limit: 3, period_ms: PERIOD_MS });
  await refused(wrong, 'FAILED_PRECONDITION', 'NOT_A_THROTTLE');
}
