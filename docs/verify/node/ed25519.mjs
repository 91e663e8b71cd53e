// A receiver that checks the Ed25519 signature, with nothing but Node: PUBLIC_KEY=whpk_… PORT=8080 node ed25519.mjs
import { createPublicKey, verify } from "node:crypto";
import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";

const TOLERANCE_SECONDS = 5 * 60;
const raw = Buffer.from(process.env.PUBLIC_KEY.replace("whpk_", ""), "base64");
const publicKey = createPublicKey({
  key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") },
  format: "jwk",
});

function isGenuine(headers, rawBody) {
  const id = headers["webhook-id"];
  const timestamp = headers["webhook-timestamp"];
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) < TOLERANCE_SECONDS)) {
    return false;
  }
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), rawBody]);
  // There are entries of other kinds, and for a day after a rotation another one by the key before.
  return (headers["webhook-signature"] ?? "").split(" ").some((entry) => {
    const [version, signature] = entry.split(",");
    return version === "v1a" && verify(null, signed, publicKey, Buffer.from(signature ?? "", "base64"));
  });
}

createServer(async (request, response) => {
  const rawBody = await buffer(request);
  if (!isGenuine(request.headers, rawBody)) {
    return response.writeHead(401).end();
  }
  const event = JSON.parse(rawBody);
  console.log(event.event_name, request.headers["webhook-id"]); // skip the event if you have processed this id before
  response.writeHead(204).end();
}).listen(process.env.PORT, "127.0.0.1");
