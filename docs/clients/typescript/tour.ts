// The life of a webhook by the TypeScript client: npm install openapi-fetch
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { AcceptedEvent, DeliveryWithAttempts, NewEndpoint, NewEvent, paths } from "./echo-webhooks.d.ts";

const { ECHO_API_URL, ECHO_API_KEY, ECHO_PROJECT_ID, RECEIVER_URL } = process.env as Record<string, string>;
const client = createClient<paths>({ baseUrl: ECHO_API_URL, headers: { "x-api-key": ECHO_API_KEY } });
const project = { projectId: ECHO_PROJECT_ID };

/** Sends an event until the service has it. Sending again is safe: an event with an `event_id` of its own is never taken twice. */
async function post(event: NewEvent): Promise<AcceptedEvent> {
  for (const pause of [0, 1, 2, 4, 8, 16]) {
    await sleep(pause * 1_000);
    const answer = await client
      .POST("/v1/projects/{projectId}/events", { params: { path: project }, body: event, signal: AbortSignal.timeout(10_000) })
      .catch(() => undefined); // no answer
    if (answer?.data) return answer.data;
    if (answer && answer.response.status < 500 && answer.response.status !== 429) throw new Error(answer.error?.message);
  }
  throw new Error("The event was not accepted.");
}

/** The delivery with its attempts, once it has ended. */
async function ended(webhookId: string, deliveryId: string): Promise<DeliveryWithAttempts> {
  const path = { ...project, webhookId, deliveryId };
  for (;;) {
    const { data, error } = await client.GET("/v1/projects/{projectId}/webhooks/{webhookId}/deliveries/{deliveryId}", { params: { path } });
    if (error) throw new Error(error.message);
    if (data.status === "success" || data.status === "failed") return data;
    await sleep(200);
  }
}

const wanted: NewEndpoint = { url: "ftp://example.com", events: ["call.ended"] };
const refused = await client.POST("/v1/projects/{projectId}/webhooks", { params: { path: project }, body: wanted });
if (refused.error) console.log(`refused: ${refused.error.statusCode} ${refused.error.message}`);

wanted.url = RECEIVER_URL;
const made = await client.POST("/v1/projects/{projectId}/webhooks", { params: { path: project }, body: wanted });
if (made.error) throw new Error(made.error.message);
const endpoint = made.data;

const hello: NewEvent = { event_name: "call.ended", event_id: randomUUID(), data: { text: "hello" } };
const accepted = await post(hello);
const again = await post(hello);
console.log(`accepted: ${accepted.event_id} duplicate: ${again.duplicate}`);

for (const { id } of accepted.deliveries.filter((delivery) => delivery.webhook_endpoint_id === endpoint.id)) {
  const delivery = await ended(endpoint.id, id);
  console.log(`delivery: ${delivery.status}`);
  for (const attempt of delivery.attempts) console.log(`attempt: ${attempt.attempt_number} ${attempt.http_status} ${attempt.triggered_by}`);
}

const path = { ...project, webhookId: endpoint.id };
const { error } = await client.DELETE("/v1/projects/{projectId}/webhooks/{webhookId}", { params: { path } });
if (error) throw new Error(error.message);
