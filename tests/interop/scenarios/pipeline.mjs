// The Pipeline stream: columns, answers by id, errors in place, embedded requests.
import assert from 'node:assert/strict';
import grpc from '@grpc/grpc-js';
import { deadline } from '../petra.mjs';

const COLUMNS = ['versions', 'values', 'encodings', 'expires_at_ms', 'numbers'];

// One stream. send() writes a message; answered() resolves once every operation sent has its answer.
class Stream {
  constructor(petra) {
    petra.called.add('Pipeline');
    this.answers = new Map();
    this.awaited = new Set();
    this.duplex = petra.storage.Pipeline({ deadline: deadline() });
    this.ended = new Promise((resolve) => this.duplex.on('status', resolve));
    this.duplex.on('error', () => {});
    this.duplex.on('data', (response) => this.receive(response));
  }

  receive(response) {
    response.ids.forEach((id, position) => {
      const answer = {};
      for (const column of COLUMNS) {
        assert.ok([0, response.ids.length].includes(response[column].length), `column ${column} does not fit`);
        answer[column] = response[column][position];
      }
      this.answer(id, answer);
    });
    for (const error of response.errors) this.answer(error.id, { error });
  }

  answer(id, answer) {
    assert.ok(this.awaited.delete(id), `an answer that nobody waits for: ${id}`);
    this.answers.set(id, answer);
    if (this.awaited.size === 0 && this.done) this.done();
  }

  send(message) {
    for (const id of message.ids) this.awaited.add(String(id));
    this.duplex.write(message);
  }

  async answered() {
    const failed = this.ended.then((status) => assert.fail(`the stream ended first: ${status.details}`));
    if (this.awaited.size > 0) await Promise.race([new Promise((resolve) => (this.done = resolve)), failed]);
    return this.answers;
  }

  async close() {
    this.duplex.end();
    return this.ended;
  }
}

export async function mixed_methods_in_one_message(petra) {
  const stream = new Stream(petra);
  const n = 7;
  stream.send({
    ids: [1, 2, 3, 4, 5, 6, 7],
    methods: ['SET', 'GET', 'INCREMENT', 'TOUCH', 'GET', 'DELETE', 'GET'].map((name) => `METHOD_${name}`),
    addresses: [{ namespace: petra.namespace }, { namespace: petra.namespace, object: 'piped' }],
    address_indexes: [0, 0, 1, 0, 0, 0, 0],
    keys: ['p', 'p', 'n', 'p', 'p', 'p', 'p'],
    values: [Buffer.from('"v"'), ...Array(n - 1).fill(Buffer.alloc(0))],
    encodings: ['ENCODING_JSON', ...Array(n - 1).fill('ENCODING_UNSPECIFIED')],
    ttl_ms: [0, 0, 0, 60_000, 0, 0, 0],
    numbers: [0, 0, -3, 0, 0, 0, 0],
    initials: [0, 0, 10, 0, 0, 0, 0],
  });
  const answers = await stream.answered();
  const at = (id) => answers.get(String(id));
  assert.equal(at(2).values.toString(), '"v"');
  assert.equal(at(2).encodings, 'ENCODING_JSON');
  assert.equal(at(2).versions, at(1).versions);
  assert.equal(at(3).numbers, '7');
  assert.equal(at(4).numbers, '1');
  assert.equal(at(5).expires_at_ms, at(4).expires_at_ms);
  assert.equal(at(6).numbers, '1');
  assert.ok([undefined, '0'].includes(at(7).versions));
  assert.equal((await stream.close()).code, grpc.status.OK);
}

export async function many_messages_answered_by_id(petra) {
  const stream = new Stream(petra);
  const ids = Array.from({ length: 300 }, (_, index) => 10_000 - 7 * index);
  for (let index = 0; index < ids.length; index += 3) {
    const part = ids.slice(index, index + 3);
    stream.send({
      ids: part,
      methods: part.map(() => 'METHOD_SET'),
      addresses: [{ namespace: petra.namespace }],
      address_indexes: part.map(() => 0),
      keys: part.map((id) => `many-${id}`),
      values: part.map((id) => Buffer.from(String(id))),
    });
  }
  await stream.answered();
  for (const id of ids) stream.send({ ids: [id], methods: ['METHOD_GET'], addresses: [{ namespace: petra.namespace }], keys: [`many-${id}`] });
  const answers = await stream.answered();
  for (const id of ids) assert.equal(answers.get(String(id)).values.toString(), String(id));
  await stream.close();
}

export async function errors_stand_in_place(petra) {
  const stream = new Stream(petra);
  stream.send({
    ids: [1, 2, 3],
    methods: ['METHOD_SET', 'METHOD_SET', 'METHOD_SET'],
    addresses: [{ namespace: petra.namespace }],
    keys: ['fine', '', 'fine'],
    if_versions: [0, 0, 0],
    options: [0, 0, 1],
  });
  const answers = await stream.answered();
  assert.ok(BigInt(answers.get('1').versions) > 0n);
  const invalid = answers.get('2').error;
  assert.deepEqual([invalid.code, invalid.reason], [grpc.status.INVALID_ARGUMENT, 'INVALID_KEY']);
  assert.ok(invalid.message.length > 0);
  const conflict = answers.get('3').error;
  assert.deepEqual([conflict.code, conflict.reason], [grpc.status.ABORTED, 'VERSION_CONFLICT']);
  assert.equal(conflict.metadata.version, answers.get('1').versions);
  assert.equal((await stream.close()).code, grpc.status.OK);
}

export async function embedded_requests(petra) {
  const { namespace } = petra;
  const requests = [
    ['SET_MANY', 'SetMany', { namespace, object: 'embedded', items: ['x', 'y', 'z'].map((key) => ({ key, value: Buffer.from(key) })) }],
    ['GET_MANY', 'GetMany', { namespace, object: 'embedded', keys: ['z', 'x'] }],
    ['DELETE_MANY', 'DeleteMany', { namespace, object: 'embedded', keys: ['z'] }],
    ['LIST', 'List', { namespace, object: 'embedded', reverse: true }],
    ['THROTTLE', 'Throttle', { namespace, object: 'embedded', key: 't', limit: 1, period_ms: 86_400_000 }],
    ['TRANSACT', 'Transact', { namespace, object: 'embedded', operations: [{ get: { key: 'y' } }] }],
    ['CLEAR', 'Clear', { namespace, object: 'embedded' }],
  ];
  const stream = new Stream(petra);
  const answers = [];
  for (const [id, [method, name, request]] of requests.entries()) {
    stream.send({ ids: [id], methods: [`METHOD_${method}`], values: [petra.encode(`${name}Request`, request)] });
    answers.push(petra.decode(`${name}Response`, (await stream.answered()).get(String(id)).values));
  }
  const [written, read, removed, listed, throttled, transacted, cleared] = answers;
  assert.equal(written.versions.length, 3);
  assert.deepEqual(read.entries.map((entry) => entry.key), ['z', 'x']);
  assert.equal(removed.deleted, '1');
  assert.deepEqual(listed.entries.map((entry) => entry.key), ['y', 'x']);
  assert.equal(throttled.allowed, true);
  assert.equal(transacted.results[0].get.entry.value.toString(), 'y');
  assert.equal(cleared.deleted, '3');
  await stream.close();
}

export async function columns_that_do_not_fit_end_the_stream(petra) {
  const stream = new Stream(petra);
  stream.send({ ids: [1, 2], methods: ['METHOD_GET'], keys: ['a'] });
  const status = await stream.ended;
  assert.equal(status.code, grpc.status.INVALID_ARGUMENT);
}
