// A receiver that checks x-echo-signature, with nothing but Go: SECRET=whsec_… PORT=8080 go run hmac.go
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
)

func isGenuine(secret string, headers http.Header, rawBody []byte) bool {
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

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		rawBody, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil || !isGenuine(os.Getenv("SECRET"), r.Header, rawBody) {
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
