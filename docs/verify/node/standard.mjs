// A receiver that checks with the library of Standard Webhooks: npm ci; SECRET=whsec_… PORT=8080 node standard.mjs
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.SECRET);

createServer(async (request, response) => {
  try {
    const event = webhook.verify(await text(request), request.headers);
    console.log(event.event_name, request.headers["webhook-id"]); // skip the event if you have processed this id before
    response.writeHead(204).end();
  } catch {
    response.writeHead(401).end();
  }
}).listen(process.env.PORT, "127.0.0.1");
