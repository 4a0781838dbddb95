// What a tool like grpcurl does: ask the server what it is, then call it with what was learned and no .proto file.
import assert from 'node:assert/strict';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { OPTIONS, call, deadline } from '../petra.mjs';
import { reflectionPackage } from '../standard.mjs';

// Asks the reflection service each question over one stream and resolves with the answers.
function reflect(petra, version, questions) {
  const { ServerReflection } = grpc.loadPackageDefinition(protoLoader.fromJSON(reflectionPackage(version), OPTIONS)).grpc
    .reflection[version];
  const client = new ServerReflection(petra.address, petra.credentials);
  return new Promise((resolve, reject) => {
    const answers = [];
    const stream = client.ServerReflectionInfo({ deadline: deadline() });
    stream.on('data', (answer) => answers.push(answer));
    stream.on('error', reject);
    stream.on('end', () => resolve(answers));
    for (const question of questions) stream.write(question);
    stream.end();
  }).finally(() => client.close());
}

async function versionOf(petra) {
  try {
    await reflect(petra, 'v1', [{ list_services: '' }]);
    return 'v1';
  } catch (error) {
    assert.equal(error.code, grpc.status.UNIMPLEMENTED);
    return 'v1alpha';
  }
}

async function serviceNames(petra, version) {
  const [{ list_services_response }] = await reflect(petra, version, [{ list_services: '' }]);
  return list_services_response.service.map(({ name }) => name).sort();
}

// The package that the server describes itself, as proto-loader would have read it from files.
async function described(petra) {
  const version = await versionOf(petra);
  const names = await serviceNames(petra, version);
  const files = new Map();
  for (const answer of await reflect(petra, version, names.map((name) => ({ file_containing_symbol: name })))) {
    assert.equal(answer.error_response, undefined);
    for (const bytes of answer.file_descriptor_response.file_descriptor_proto) {
      const file = descriptor.FileDescriptorProto.decode(bytes);
      files.set(file.name, file);
    }
  }
  const set = descriptor.FileDescriptorSet.encode({ file: [...files.values()] }).finish();
  return protoLoader.loadFileDescriptorSetFromBuffer(Buffer.from(set), OPTIONS);
}

export async function services_are_listed(petra) {
  const names = await serviceNames(petra, await versionOf(petra));
  for (const name of ['petra.v1.StorageService', 'petra.v1.AdminService', 'grpc.health.v1.Health']) {
    assert.ok(names.includes(name), `${name} is not among ${names}`);
  }
}

export async function methods_are_those_of_the_proto_files(petra) {
  const reflected = await described(petra);
  for (const name of ['petra.v1.StorageService', 'petra.v1.AdminService']) {
    const signature = ({ path, requestStream, responseStream }) => ({ path, requestStream, responseStream });
    const methods = (service) => Object.values(service).map(signature).sort((a, b) => a.path.localeCompare(b.path));
    assert.deepEqual(methods(reflected[name]), methods(petra.definition[name]));
  }
}

export async function list_through_the_descriptors_of_the_server(petra) {
  const { petra: learned } = grpc.loadPackageDefinition(await described(petra));
  const client = new learned.v1.StorageService(petra.address, petra.credentials);
  const namespace = `${petra.namespace}-reflected`;
  await call(client, 'SetMany', { namespace, object: 'o', items: ['b', 'a'].map((key) => ({ key, value: Buffer.from(key) })) });
  const { entries } = await call(client, 'List', { namespace, object: 'o' });
  assert.deepEqual(entries.map((entry) => [entry.key, entry.value.toString()]), [['a', 'a'], ['b', 'b']]);
  client.close();
}
