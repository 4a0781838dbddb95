// The standard messages a gRPC client needs beside a service's own: health, reflection and rich errors. Written as
// protobufjs JSON, so that the only .proto files in the game are Petra's.

const field = (type, id) => ({ type, id });
const list = (type, id) => ({ rule: 'repeated', type, id });

function packaged(name, nested) {
  return { nested: name.split('.').reduceRight((inner, part) => ({ [part]: { nested: inner } }), nested) };
}

export const RPC_PACKAGE = packaged('google.rpc', {
  Status: { fields: { code: field('int32', 1), message: field('string', 2), details: list('Detail', 3) } },
  // google.protobuf.Any, named otherwise so that its bytes stay bytes.
  Detail: { fields: { type_url: field('string', 1), value: field('bytes', 2) } },
  ErrorInfo: {
    fields: {
      reason: field('string', 1),
      domain: field('string', 2),
      metadata: { keyType: 'string', type: 'string', id: 3 },
    },
  },
  RetryInfo: { fields: { retry_delay: field('Duration', 1) } },
  Duration: { fields: { seconds: field('int64', 1), nanos: field('int32', 2) } },
  BadRequest: { fields: { field_violations: list('FieldViolation', 1) } },
  FieldViolation: { fields: { field: field('string', 1), description: field('string', 2) } },
});

export const HEALTH_PACKAGE = packaged('grpc.health.v1', {
  HealthCheckRequest: { fields: { service: field('string', 1) } },
  HealthCheckResponse: {
    fields: { status: field('ServingStatus', 1) },
    nested: { ServingStatus: { values: { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } } },
  },
  Health: {
    methods: {
      Check: { requestType: 'HealthCheckRequest', responseType: 'HealthCheckResponse' },
      Watch: { requestType: 'HealthCheckRequest', responseType: 'HealthCheckResponse', responseStream: true },
    },
  },
});

// version: "v1" or "v1alpha", which differ in nothing but the name.
export function reflectionPackage(version) {
  return packaged(`grpc.reflection.${version}`, {
    ServerReflectionRequest: {
      oneofs: { message_request: { oneof: ['file_containing_symbol', 'list_services'] } },
      fields: { host: field('string', 1), file_containing_symbol: field('string', 4), list_services: field('string', 7) },
    },
    ServerReflectionResponse: {
      oneofs: {
        message_response: { oneof: ['file_descriptor_response', 'list_services_response', 'error_response'] },
      },
      fields: {
        valid_host: field('string', 1),
        file_descriptor_response: field('FileDescriptorResponse', 4),
        list_services_response: field('ListServiceResponse', 6),
        error_response: field('ErrorResponse', 7),
      },
    },
    FileDescriptorResponse: { fields: { file_descriptor_proto: list('bytes', 1) } },
    ListServiceResponse: { fields: { service: list('ServiceResponse', 1) } },
    ServiceResponse: { fields: { name: field('string', 1) } },
    ErrorResponse: { fields: { error_code: field('int32', 1), error_message: field('string', 2) } },
    ServerReflection: {
      methods: {
        ServerReflectionInfo: {
          requestType: 'ServerReflectionRequest',
          requestStream: true,
          responseType: 'ServerReflectionResponse',
          responseStream: true,
        },
      },
    },
  });
}
