package main

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/centrifugal/centrifuge"
)

// bodyBytesMax bounds the body of a request.
const bodyBytesMax = 64 * 1024

// api answers {"method":"user_connections","params":{"user":"…"}}.
type api struct {
	hub *centrifuge.Hub
	key []byte
}

type request struct {
	Method string `json:"method"`
	Params struct {
		User string `json:"user"`
	} `json:"params"`
}

type reply struct {
	Result *listing  `json:"result,omitempty"`
	Error  *apiError `json:"error,omitempty"`
}

type listing struct {
	Connections map[string]*session `json:"connections"`
}

type apiError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

var (
	errNotFound   = apiError{Code: 104, Message: "method not found"}
	errBadRequest = apiError{Code: 107, Message: "bad request"}
)

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "apikey ")
	if subtle.ConstantTimeCompare([]byte(key), a.key) != 1 {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var asked request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyBytesMax)).Decode(&asked); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	body, err := json.Marshal(a.answer(&asked))
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

func (a *api) answer(asked *request) reply {
	switch {
	case asked.Method != "user_connections":
		return reply{Error: &errNotFound}
	case asked.Params.User == "":
		return reply{Error: &errBadRequest}
	}
	clients := a.hub.UserConnections(asked.Params.User)
	connections := make(map[string]*session, len(clients))
	for id, client := range clients {
		if found := sessionOf(client); found != nil {
			connections[id] = found
		}
	}
	return reply{Result: &listing{Connections: connections}}
}
