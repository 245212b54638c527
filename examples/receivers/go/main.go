// A receiver in Go, with the standard library alone: PORT=8000 go run main.go
//
// WEBHOOK_SECRET holds the secret, WEBHOOK_SCHEME is standard (the default) or timetracker, events go to the folder inbox.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	tolerance = 5 * time.Minute // how far a timestamp may be off, either way
	bodyLimit = 1 << 20         // hookctl's own limit
)

var (
	errMalformed = errors.New("webhook-id or webhook-timestamp is missing or malformed")
	errTime      = errors.New("the timestamp is too old, or of the future")
	errSignature = errors.New("no signature matches")
	errEnvelope  = errors.New("the body is no envelope with an event_id")
)

// standard checks a request signed by the scheme standard; it returns the event id.
func standard(secrets []string, header http.Header, body []byte, now time.Time) (string, error) {
	id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil {
		return "", errMalformed
	}
	if sent := time.Unix(seconds, 0); now.Sub(sent).Abs() > tolerance {
		return "", errTime
	}
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			return "", err
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + timestamp + "."))
		mac.Write(body)
		expected := mac.Sum(nil)
		for _, item := range strings.Split(header.Get("webhook-signature"), " ") {
			signature, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(item, "v1,"))
			if strings.HasPrefix(item, "v1,") && err == nil && hmac.Equal(expected, signature) {
				return id, nil
			}
		}
	}
	return "", errSignature
}

// timetracker checks a request signed by the scheme timetracker; it returns the event id. Nothing but the body is
// signed: no time that could be too old, and the event id is the envelope's.
func timetracker(secrets []string, header http.Header, body []byte, _ time.Time) (string, error) {
	signature, err := hex.DecodeString(strings.TrimPrefix(header.Get("x-webhook-signature"), "sha256="))
	if err != nil {
		return "", errSignature
	}
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		if hmac.Equal(mac.Sum(nil), signature) {
			var envelope struct {
				EventID *string `json:"event_id"`
			}
			if json.Unmarshal(body, &envelope) != nil || envelope.EventID == nil {
				return "", errEnvelope
			}
			return *envelope.EventID, nil
		}
	}
	return "", errSignature
}

// keep stores the event under its id, whole or not at all; false when it is there already. Answer 2xx only after this:
// what the sender was told is received must not be lost.
func keep(inbox, id string, body []byte) (bool, error) {
	if err := os.MkdirAll(inbox, 0o700); err != nil {
		return false, err
	}
	file, err := os.CreateTemp(inbox, "partial-")
	if err != nil {
		return false, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.Write(body); err != nil {
		return false, err
	}
	if err := file.Sync(); err != nil {
		return false, err
	}
	name := sha256.Sum256([]byte(id))
	err = os.Link(file.Name(), filepath.Join(inbox, hex.EncodeToString(name[:])+".event"))
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	// One secret, or during a rotation two separated by a space.
	secrets := strings.Fields(os.Getenv("WEBHOOK_SECRET"))
	if len(secrets) == 0 {
		log.Fatal("no secret is set")
	}
	check := standard
	if os.Getenv("WEBHOOK_SCHEME") == "timetracker" {
		check = timetracker
	}
	inbox := setting("WEBHOOK_INBOX", "inbox")

	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		// The bytes as they came: JSON that was read and written again has another signature.
		body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, bodyLimit))
		if err != nil {
			http.Error(response, "the body is too large, or broke off", http.StatusBadRequest)
			return
		}
		id, err := check(secrets, request.Header, body, time.Now())
		if err != nil {
			http.Error(response, err.Error(), http.StatusUnauthorized)
			return
		}
		isNew, err := keep(inbox, id, body)
		switch {
		case err != nil:
			log.Print(err)
			http.Error(response, "not stored", http.StatusInternalServerError)
		case isNew:
			io.WriteString(response, "received\n")
		default:
			io.WriteString(response, "a duplicate\n")
		}
	})
	server := http.Server{
		Addr:              "127.0.0.1:" + setting("PORT", "8000"),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}
