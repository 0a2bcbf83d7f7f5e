// Calls operations of the reference platform's client, one for each line of standard input:
//   {"operation", "key", "parameters"}
// and answers each with a line: {"status", "value", "headers"} of an answer that the client's own
// decoder took, or {"refused": [what its decoder found]}.
// The first line it says names all operations. Arguments: the folder with the packages, Messo's address.
"use strict";
const { createRequire } = require("module");
const readline = require("readline");

const [, , modules, baseUrl] = process.argv;
const load = createRequire(`${modules}/`);
const { createClient } = load("@pagopa/io-functions-services-sdk/client");
const { readableReport } = load("@pagopa/ts-commons/lib/reporters");

const KEY = "Ocp-Apim-Subscription-Key";
let answered = null;

const clientOf = (key) =>
  createClient({
    baseUrl,
    fetchApi: async (url, { headers, ...request }) => {
      // cmsGetServiceHistory sends no key: institutions that use it add one, as here.
      const sent = KEY in (headers ?? {}) ? headers : { ...headers, [KEY]: key };
      answered = await fetch(url, { ...request, headers: sent });
      return answered;
    },
  });

const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");

async function call({ operation, key, parameters }) {
  const keys = { SubscriptionKey: key, ManageSubscriptionKey: key };
  const decoded = await clientOf(key)[operation]({ ...keys, ...parameters });
  if (decoded._tag === "Right") {
    const { status, value, headers } = decoded.right;
    return { status, value, headers: Object.fromEntries(headers) };
  }
  // An answer whose status the client does not know has been read by none of its decoders.
  const refused = answered.bodyUsed
    ? readableReport(decoded.left)
    : `not an answer it knows: ${await answered.text()}`;
  return { status: answered.status, refused };
}

async function main() {
  say(Object.keys(clientOf("")));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    say(await call(JSON.parse(line)).catch((error) => ({ refused: String(error.stack) })));
  }
}

main();
