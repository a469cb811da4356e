// Whether the AsyncAPI project's own parser accepts schemas/asyncapi.yaml, with the schemas that it
// refers to, and whether it describes what it must. Anything worse than a hint fails.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';

// From where `tools/setup asyncapi` has put it: not beside this file.
const { Parser } = createRequire(path.resolve('target/asyncapi/package.json'))('@asyncapi/parser');
const WARNING = 1;
const SOURCE = path.resolve('schemas/asyncapi.yaml');
const CHANNELS = ['state', 'availability', 'health', 'meta', 'history', 'recent', 'event', 'command', 'reply'];

const { document, diagnostics } = await new Parser().parse(await readFile(SOURCE, 'utf8'), { source: SOURCE });
let failures = 0;
const fail = (what) => {
  failures += 1;
  console.error(what);
};
for (const { severity, code, message, path: at } of diagnostics) {
  const line = `${at.join('.')}: ${message} (${code})`;
  if (severity <= WARNING) fail(line);
  else console.log(`note: ${line}`);
}
if (document) {
  const channels = document.channels().all();
  const ids = channels.map((channel) => channel.id());
  for (const name of CHANNELS) if (!ids.includes(name)) fail(`no channel ${name}`);
  for (const channel of channels) {
    const parameters = channel.parameters().all().map((parameter) => parameter.id()).sort();
    const wanted = [...channel.address().matchAll(/{(\w+)}/g)].map(([, name]) => name).sort();
    if (`${parameters}` !== `${wanted}`) fail(`${channel.id()}: parameters ${parameters}, and its address has ${wanted}`);
    for (const message of channel.messages().all()) {
      if (!message.payload()?.json()?.type && !message.payload()?.json()?.anyOf) fail(`${channel.id()}: ${message.id()} has no schema`);
    }
  }
  const operations = document.operations().all();
  if (operations.length !== channels.length) fail(`${operations.length} operations on ${channels.length} channels`);
  for (const operation of operations) {
    const mqtt = operation.bindings().get('mqtt')?.value();
    if (mqtt?.qos !== 1 || typeof mqtt.retain !== 'boolean') fail(`${operation.id()}: no MQTT binding with QoS and retain`);
  }
  const command = operations.find((operation) => operation.id() === 'receiveCommand');
  const answered = command?.reply()?.channel()?.id();
  if (answered !== 'reply') fail(`a command is answered on ${answered}`);
  console.log(`${ids.length} channels, ${operations.length} operations: ${ids.join(', ')}`);
}
process.exitCode = failures ? 1 : 0;
