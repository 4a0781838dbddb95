// Usage: node client.mjs HOST:PORT PROTO_ROOT. Runs every scenario against the server and prints one JSON line for each:
// {"scenario": "...", "ok": true} or {"scenario": "...", "ok": false, "error": "..."}.
import { Petra } from './petra.mjs';
import * as admin from './scenarios/admin.mjs';
import * as conditions from './scenarios/conditions.mjs';
import * as entries from './scenarios/entries.mjs';
import * as errors from './scenarios/errors.mjs';
import * as lists from './scenarios/lists.mjs';
import * as pipeline from './scenarios/pipeline.mjs';
import * as reflection from './scenarios/reflection.mjs';
import * as throttle from './scenarios/throttle.mjs';

const GROUPS = { entries, conditions, lists, throttle, pipeline, errors, admin, reflection };

const [address, protoRoot] = process.argv.slice(2);
const petra = new Petra(address, protoRoot);

async function report(scenario, run) {
  try {
    await run(petra);
    console.log(JSON.stringify({ scenario, ok: true }));
  } catch (error) {
    console.log(JSON.stringify({ scenario, ok: false, error: String(error.stack ?? error) }));
  }
}

for (const [group, scenarios] of Object.entries(GROUPS)) {
  for (const [name, run] of Object.entries(scenarios)) await report(`${group}.${name}`, run);
}
await report('every_method_called', () => {
  const missing = Object.values(petra.services.storage.service)
    .map((method) => method.path.split('/').pop())
    .filter((name) => !petra.called.has(name));
  if (missing.length > 0) throw new Error(`no scenario calls ${missing.join(', ')}`);
});
petra.close();
