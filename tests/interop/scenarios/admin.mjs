// AdminService and the standard health service.
import assert from 'node:assert/strict';
import grpc from '@grpc/grpc-js';
import { call } from '../petra.mjs';

export async function health_of_server_and_services(petra) {
  for (const service of ['', 'petra.v1.StorageService', 'petra.v1.AdminService']) {
    assert.equal((await call(petra.health, 'Check', { service })).status, 'SERVING');
  }
  await assert.rejects(call(petra.health, 'Check', { service: 'nobody' }), { code: grpc.status.NOT_FOUND });
}

export async function info(petra) {
  const answer = await call(petra.admin, 'GetInfo', {});
  assert.match(answer.version, /^\d+\.\d+/);
  assert.match(answer.data_id, /^[0-9a-f]{8}-/);
  assert.ok(answer.actors >= 1);
  assert.equal(answer.writable, true);
  assert.equal(answer.limits.key_bytes, 2048);
  assert.ok(Number(answer.now_ms) >= Number(answer.started_at_ms));
}

export async function namespaces_and_objects(petra) {
  const namespace = `${petra.namespace}-admin`;
  for (const object of ['blue', 'green', 'red']) {
    await call(petra.storage, 'Set', { namespace, object, key: 'k', value: Buffer.from('v') });
  }
  const named = await call(petra.admin, 'ListNamespaces', { prefix: namespace });
  assert.deepEqual(named, { namespaces: [namespace], more: false });
  const first = await call(petra.admin, 'ListObjects', { namespace, limit: 2 });
  assert.deepEqual(first, { objects: ['blue', 'green'], more: true });
  const rest = await call(petra.admin, 'ListObjects', { namespace, start_after: 'green' });
  assert.deepEqual(rest, { objects: ['red'], more: false });
}

export async function actors_share_all_slots(petra) {
  const { actors } = await call(petra.admin, 'DescribeActors', {});
  assert.equal(actors.length, (await call(petra.admin, 'GetInfo', {})).actors);
  assert.equal(actors[0].first_slot, 0);
  assert.equal(actors.at(-1).last_slot, 16_383);
  actors.slice(1).forEach((actor, index) => assert.equal(actor.first_slot, actors[index].last_slot + 1));
}
