// Short verification code for receivers. {secret} stands for the endpoint's signing secret.

const NODE = `import { createHmac, timingSafeEqual } from "node:crypto";

const secret = "{secret}";

/** rawBody: the request's body as a Buffer; headers: with lower-case names. */
export function isGenuine(rawBody, headers) {
  const expected = createHmac("sha256", secret).update(rawBody).digest();
  const sent = Buffer.from(headers["x-echo-signature"] ?? "", "hex");
  return sent.length === expected.length && timingSafeEqual(sent, expected);
}
`;

const PYTHON = `import hashlib
import hmac

SIGNING_KEY = "{secret}"


def is_genuine(raw_body: bytes, headers) -> bool:
    expected = hmac.new(SIGNING_KEY.encode(), raw_body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers.get("x-echo-signature", ""))
`;

const GO = `package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
)

const secret = "{secret}"

func IsGenuine(rawBody []byte, headers http.Header) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(rawBody)
	sent, err := hex.DecodeString(headers.Get("x-echo-signature"))
	return err == nil && hmac.Equal(mac.Sum(nil), sent)
}
`;

const RUST = `use hmac::{Hmac, KeyInit, Mac}; // hmac, sha2 and hex
use sha2::Sha256;

const SIGNING_KEY: &str = "{secret}";

/// \`signature\`: the header x-echo-signature.
fn is_genuine(raw_body: &[u8], signature: &str) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(SIGNING_KEY.as_bytes()) else {
        return false;
    };
    mac.update(raw_body);
    hex::decode(signature).is_ok_and(|sent| mac.verify_slice(&sent).is_ok())
}
`;

export const SNIPPETS = [
  ["Node", NODE],
  ["Python", PYTHON],
  ["Go", GO],
  ["Rust", RUST],
];
