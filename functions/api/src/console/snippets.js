// Short verification code for receivers. {secret} stands for the endpoint's signing secret.

const NODE = `import { createHmac, timingSafeEqual } from "node:crypto";

const secret = "{secret}";

/** rawBody: the request's body as a Buffer; headers: with lower-case names. */
export function isGenuine(rawBody, headers) {
  const expected = createHmac("sha256", secret).update(rawBody).digest();
  // For a day after a rotation, the second header is signed with the secret before.
  return ["x-echo-signature", "x-echo-signature-previous"].some((name) => {
    const sent = Buffer.from(headers[name] ?? "", "hex");
    return sent.length === expected.length && timingSafeEqual(sent, expected);
  });
}
`;

const PYTHON = `import hashlib
import hmac

SIGNING_KEY = "{secret}"


def is_genuine(raw_body: bytes, headers) -> bool:
    expected = hmac.new(SIGNING_KEY.encode(), raw_body, hashlib.sha256).hexdigest()
    # For a day after a rotation, the second header is signed with the secret before.
    names = ("x-echo-signature", "x-echo-signature-previous")
    return any(hmac.compare_digest(expected.encode(), headers.get(name, "").encode()) for name in names)
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
	// For a day after a rotation, the second header is signed with the secret before.
	for _, name := range []string{"x-echo-signature", "x-echo-signature-previous"} {
		sent, err := hex.DecodeString(headers.Get(name))
		if err == nil && hmac.Equal(mac.Sum(nil), sent) {
			return true
		}
	}
	return false
}
`;

const RUST = `use hmac::{Hmac, KeyInit, Mac}; // hmac, sha2 and hex
use sha2::Sha256;

const SIGNING_KEY: &str = "{secret}";

/// \`signatures\`: the headers x-echo-signature and x-echo-signature-previous, as far as the request has them.
/// For a day after a rotation, the second one is signed with the secret before.
fn is_genuine<'a>(raw_body: &[u8], signatures: impl IntoIterator<Item = &'a str>) -> bool {
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(SIGNING_KEY.as_bytes()) else {
        return false;
    };
    let mac = mac.chain_update(raw_body);
    signatures.into_iter().any(|sent| hex::decode(sent).is_ok_and(|sent| mac.clone().verify_slice(&sent).is_ok()))
}
`;

export const SNIPPETS = [
  ["Node", NODE],
  ["Python", PYTHON],
  ["Go", GO],
  ["Rust", RUST],
];
