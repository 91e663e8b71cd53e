// A receiver that checks the Ed25519 signature, with nothing but Go: PUBLIC_KEY=whpk_… PORT=8080 go run ed25519.go
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const tolerance = 5 * time.Minute

func isGenuine(publicKey ed25519.PublicKey, headers http.Header, rawBody []byte) bool {
	sentAt, err := strconv.ParseInt(headers.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(sentAt, 0)).Abs() > tolerance {
		return false
	}
	signed := append([]byte(headers.Get("webhook-id")+"."+headers.Get("webhook-timestamp")+"."), rawBody...)
	// There are entries of other kinds, and for a day after a rotation another one by the key before.
	for _, entry := range strings.Split(headers.Get("webhook-signature"), " ") {
		version, encoded, _ := strings.Cut(entry, ",")
		signature, err := base64.StdEncoding.DecodeString(encoded)
		if version == "v1a" && err == nil && ed25519.Verify(publicKey, signed, signature) {
			return true
		}
	}
	return false
}

func main() {
	publicKey, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("PUBLIC_KEY"), "whpk_"))
	if err != nil || len(publicKey) != ed25519.PublicKeySize {
		log.Fatal("PUBLIC_KEY is not whpk_ and base64 of 32 bytes")
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		rawBody, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil || !isGenuine(publicKey, r.Header, rawBody) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var event struct {
			Name string `json:"event_name"`
		}
		if err := json.Unmarshal(rawBody, &event); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		log.Println(event.Name, r.Header.Get("webhook-id")) // skip the event if you have processed this id before
		w.WriteHeader(http.StatusNoContent)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
