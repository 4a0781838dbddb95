// A Petra client as anyone would write it in Node: load the .proto files, connect, call. Longs are strings, because a
// version does not fit into a JavaScript number for certain.
import assert from 'node:assert/strict';
import path from 'node:path';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import { HEALTH_PACKAGE, RPC_PACKAGE } from './standard.mjs';

export const OPTIONS = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };
const CALL_DEADLINE_MS = 10_000;

const rpc = protoLoader.fromJSON(RPC_PACKAGE, OPTIONS);

export function deadline() {
  return Date.now() + CALL_DEADLINE_MS;
}

// Calls a unary method and resolves with its answer.
export function call(client, method, request) {
  return new Promise((resolve, reject) => {
    client[method](request, { deadline: deadline() }, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

// What an error says beside its status: reason, domain, metadata, the field that is wrong, when to retry.
export function detailsOf(error) {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  assert.ok(bytes, `the error carries no google.rpc.Status: ${error.message}`);
  const status = rpc['google.rpc.Status'].deserialize(bytes);
  assert.equal(status.code, error.code);
  const details = { message: status.message };
  for (const { type_url, value } of status.details) {
    const type = type_url.slice('type.googleapis.com/'.length);
    const message = rpc[type].deserialize(value);
    if (type === 'google.rpc.ErrorInfo') Object.assign(details, message);
    if (type === 'google.rpc.BadRequest') details.fields = message.field_violations.map((each) => each.field);
    if (type === 'google.rpc.RetryInfo') details.retryDelay = message.retry_delay;
  }
  return details;
}

// Runs a call that must fail with this status and reason, and resolves with the details.
export async function refused(promise, status, reason) {
  let error;
  try {
    await promise;
  } catch (caught) {
    error = caught;
  }
  assert.ok(error, `expected ${reason}, and the call succeeded`);
  assert.equal(grpc.status[error.code], status, error.message);
  const details = detailsOf(error);
  assert.equal(details.domain, 'petra.dev');
  assert.equal(details.reason, reason);
  assert.ok(details.message.length > 0);
  return details;
}

export class Petra {
  constructor(address, protoRoot) {
    const files = ['storage.proto', 'admin.proto', 'errors.proto'].map((name) => path.join('petra', 'v1', name));
    this.address = address;
    this.credentials = grpc.credentials.createInsecure();
    this.definition = protoLoader.loadSync(files, { ...OPTIONS, includeDirs: [protoRoot] });
    const { petra } = grpc.loadPackageDefinition(this.definition);
    const health = grpc.loadPackageDefinition(protoLoader.fromJSON(HEALTH_PACKAGE, OPTIONS)).grpc.health.v1;
    this.services = { storage: petra.v1.StorageService, admin: petra.v1.AdminService };
    this.storage = new petra.v1.StorageService(address, this.credentials);
    this.admin = new petra.v1.AdminService(address, this.credentials);
    this.health = new health.Health(address, this.credentials);
    this.namespace = `interop-${process.pid}-${Date.now()}`;
    this.called = new Set();
  }

  // Calls a StorageService method in this run's own namespace.
  ask(method, request) {
    this.called.add(method);
    return call(this.storage, method, { namespace: this.namespace, ...request });
  }

  encode(type, message) {
    return this.definition[`petra.v1.${type}`].serialize(message);
  }

  decode(type, bytes) {
    return this.definition[`petra.v1.${type}`].deserialize(bytes);
  }

  close() {
    for (const client of [this.storage, this.admin, this.health]) client.close();
  }
}
