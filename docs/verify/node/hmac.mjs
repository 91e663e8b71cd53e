// A receiver that checks x-echo-signature, with nothing but Node: SECRET=whsec_… PORT=8080 node hmac.mjs
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";

function isGenuine(secret, headers, rawBody) {
  const expected = createHmac("sha256", secret).update(rawBody).digest();
  // For a day after a rotation, the second header is signed with the secret before.
  return ["x-echo-signature", "x-echo-signature-previous"].some((name) => {
    const sent = Buffer.from(headers[name] ?? "", "hex");
    return sent.length === expected.length && timingSafeEqual(sent, expected);
  });
}

createServer(async (request, response) => {
  const rawBody = await buffer(request);
  if (!isGenuine(process.env.SECRET, request.headers, rawBody)) {
    return response.writeHead(401).end();
  }
  const event = JSON.parse(rawBody);
  console.log(event.event_name, request.headers["webhook-id"]); // skip the event if you have processed this id before
  response.writeHead(204).end();
}).listen(process.env.PORT, "127.0.0.1");
