// Program rollcall-peer-centrifuge is what a competent engineer builds in a day to know who is
// connected, on the library Centrifugo is made of: clients connect over WebSocket (JSON or
// Protobuf) with a JWT, and POST /api lists the sessions of a user from the library's hub, in the
// shape Rollcall answers in. No channels, no presence. It exists to be measured against.
//
// Configured by the environment: PEER_ADDRESS, PEER_TOKEN_SECRET, PEER_API_KEY,
// PEER_PING_INTERVAL_MS, PEER_PONG_TIMEOUT_MS. Everything else is the library's default, as it is
// Centrifugo's: no WebSocket compression, write buffers not pooled, GOGC unset.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/centrifugal/centrifuge"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	settings, err := settingsFromEnvironment()
	if err != nil {
		return err
	}
	tokens, err := newTokens(settings.tokenSecret)
	if err != nil {
		return err
	}
	node, err := newNode(tokens)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		PingPongConfig: settings.pings,
	}))
	mux.Handle("/api", &api{hub: node.Hub(), key: []byte(settings.apiKey)})
	server := &http.Server{Addr: settings.address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}

	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	select {
	case err := <-served:
		return err
	case <-stop.Done():
	}
	// Sessions are no business of the HTTP server: the node ends them.
	within, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return errors.Join(node.Shutdown(within), server.Shutdown(within))
}

type settings struct {
	address, tokenSecret, apiKey string
	pings                        centrifuge.PingPongConfig
}

func settingsFromEnvironment() (settings, error) {
	var wrong []error
	text := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			wrong = append(wrong, fmt.Errorf("%s is not set", name))
		}
		return value
	}
	duration := func(name string) time.Duration {
		ms, err := strconv.ParseUint(text(name), 10, 31)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s must be milliseconds", name))
		}
		return time.Duration(ms) * time.Millisecond
	}
	found := settings{
		address:     text("PEER_ADDRESS"),
		tokenSecret: text("PEER_TOKEN_SECRET"),
		apiKey:      text("PEER_API_KEY"),
		pings: centrifuge.PingPongConfig{
			PingInterval: duration("PEER_PING_INTERVAL_MS"),
			PongTimeout:  duration("PEER_PONG_TIMEOUT_MS"),
		},
	}
	return found, errors.Join(wrong...)
}
