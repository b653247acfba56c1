package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/centrifugal/centrifuge"
	"github.com/cristalhq/jwt/v5"
)

// session is what is said of one in a listing.
type session struct {
	AppName       string          `json:"app_name,omitempty"`
	AppVersion    string          `json:"app_version,omitempty"`
	Transport     string          `json:"transport"`
	Protocol      string          `json:"protocol"`
	Meta          json.RawMessage `json:"meta,omitempty"`
	TokenUID      string          `json:"token_uid,omitempty"`
	TokenIssuedAt int64           `json:"token_issued_at,omitempty"`
}

// sessionKey is where a client's context holds its session.
type sessionKey struct{}

func sessionOf(client *centrifuge.Client) *session {
	found, _ := client.Context().Value(sessionKey{}).(*session)
	return found
}

// newNode runs a node that admits whoever has a valid token.
func newNode(tokens *tokens) (*centrifuge.Node, error) {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return nil, err
	}
	node.OnConnecting(func(ctx context.Context, event centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		claims, err := tokens.verify(event.Token)
		if err != nil {
			return centrifuge.ConnectReply{}, centrifuge.DisconnectInvalidToken
		}
		connected := &session{
			AppName:       event.Name,
			AppVersion:    event.Version,
			Transport:     event.Transport.Name(),
			Protocol:      string(event.Transport.Protocol()),
			Meta:          claims.Meta,
			TokenUID:      claims.ID,
			TokenIssuedAt: unix(claims.IssuedAt),
		}
		return centrifuge.ConnectReply{
			Context:           context.WithValue(ctx, sessionKey{}, connected),
			Credentials:       &centrifuge.Credentials{UserID: claims.Subject, ExpireAt: unix(claims.ExpiresAt)},
			ClientSideRefresh: true,
		}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnRefresh(func(event centrifuge.RefreshEvent, done centrifuge.RefreshCallback) {
			claims, err := tokens.verify(event.Token)
			if err != nil || claims.Subject != client.UserID() {
				done(centrifuge.RefreshReply{}, centrifuge.DisconnectInvalidToken)
				return
			}
			done(centrifuge.RefreshReply{ExpireAt: unix(claims.ExpiresAt)}, nil)
		})
	})
	return node, node.Run()
}

// claims are those of a connection token.
type claims struct {
	jwt.RegisteredClaims
	Meta json.RawMessage `json:"meta"`
}

var errInvalidClaims = errors.New("no user, or not valid now")

// tokens verifies tokens signed with one secret.
type tokens struct{ verifier jwt.Verifier }

func newTokens(secret string) (*tokens, error) {
	verifier, err := jwt.NewVerifierHS(jwt.HS256, []byte(secret))
	return &tokens{verifier}, err
}

func (t *tokens) verify(token string) (*claims, error) {
	found := new(claims)
	if err := jwt.ParseClaims([]byte(token), t.verifier, found); err != nil {
		return nil, err
	}
	if found.Subject == "" || !found.IsValidAt(time.Now()) {
		return nil, errInvalidClaims
	}
	return found, nil
}

// unix is the time of a claim in seconds, 0 where there is none.
func unix(date *jwt.NumericDate) int64 {
	if date == nil {
		return 0
	}
	return date.Unix()
}
