// Package understudy has what a gateway needs to know of Understudy: the events of a request,
// their key and partition. docs/events.md describes the fields, asyncapi.json all of the contract.
package understudy

import (
	"encoding/binary"
	"encoding/json"
	"time"
)

// Event is what one side of one request answered. Fields that are not known are left out.
type Event struct {
	SchemaVersion  int       `json:"schema_version"`
	RolloutID      string    `json:"rollout_id"`
	PairID         string    `json:"pair_id"`
	Mode           string    `json:"mode"`
	Side           string    `json:"side"`
	Sides          []string  `json:"sides"`
	RequestTime    time.Time `json:"request_time"`
	ConversationID string    `json:"conversation_id,omitempty"`
	Turn           int       `json:"turn,omitempty"`
	Served         bool      `json:"served,omitempty"`
	Language       string    `json:"language,omitempty"`
	Workflow       string    `json:"workflow,omitempty"`
	Request        *Request  `json:"request,omitempty"`
	Answer
}

// Request is what was asked.
type Request struct {
	Prompt  string `json:"prompt,omitempty"`
	Expects string `json:"expects,omitempty"`
}

// Answer is what came of one side: a response, or an error.
type Answer struct {
	Response *Response `json:"response,omitempty"`
	Error    *Error    `json:"error,omitempty"`
	Usage    *Usage    `json:"usage,omitempty"`
	Timing   *Timing   `json:"timing,omitempty"`
}

// Response is what the model answered.
type Response struct {
	Model        string     `json:"model,omitempty"`
	Output       string     `json:"output,omitempty"`
	ToolCalls    []ToolCall `json:"tool_calls,omitempty"`
	FinishReason string     `json:"finish_reason,omitempty"`
	Stream       bool       `json:"stream,omitempty"`
}

// ToolCall is a call of a tool that the model asked for.
type ToolCall struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
}

// Error is why there is no answer.
type Error struct {
	Type   string `json:"type"`
	Status int    `json:"status,omitempty"`
	Source string `json:"source,omitempty"`
}

// Usage is what was consumed. A price of nil is unknown.
type Usage struct {
	InputTokens  int      `json:"input_tokens"`
	OutputTokens int      `json:"output_tokens"`
	CostUSD      *float64 `json:"cost_usd,omitempty"`
}

// Timing is how long it took, from the request to the whole answer.
type Timing struct {
	DurationMS         float64 `json:"duration_ms"`
	TimeToFirstTokenMS float64 `json:"time_to_first_token_ms,omitempty"`
}

// NotStarted is the candidate's side where the gateway did not call it: no harm of the model's.
var NotStarted = Answer{Error: &Error{Type: "mirror_dropped", Source: "gateway"}}

// Shadow returns both events of a request whose user got stable's answer. The request's time is
// stamped once, for both.
func Shadow(request Event, stable, candidate Answer) []Event {
	events := make([]Event, 0, 2)
	for _, side := range []string{"stable", "candidate"} {
		event := request
		event.SchemaVersion = 1
		event.Mode = "shadow"
		event.Side = side
		event.Sides = []string{"stable", "candidate"}
		event.RequestTime = request.RequestTime.UTC()
		event.Served = side == "stable"
		event.Answer = stable
		if side == "candidate" {
			event.Answer = candidate
		}
		events = append(events, event)
	}
	return events
}

// Key returns the Kafka key of an event: all sides of a request and all turns of a conversation
// share it.
func (e Event) Key() string {
	if e.ConversationID != "" {
		return e.RolloutID + "/" + e.ConversationID
	}
	return e.RolloutID + "/" + e.PairID
}

// Partition returns the partition of a key, as Kafka's Java client chooses it.
func Partition(key string, partitions int) int {
	return int(uint32(Murmur2([]byte(key)))&0x7fffffff) % partitions
}

// Murmur2 returns the hash that Kafka's Java client takes of keys.
func Murmur2(data []byte) int32 {
	const m = uint32(0x5bd1e995)
	hash := uint32(0x9747b28c) ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * m
		k = (k ^ k>>24) * m
		hash = hash*m ^ k
	}
	switch len(data) {
	case 3:
		hash ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		hash ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		hash = (hash ^ uint32(data[0])) * m
	}
	hash = (hash ^ hash>>13) * m
	return int32(hash ^ hash>>15)
}
