package understudy

import (
	"encoding/json"
	"time"
)

// Examples returns three requests as a gateway would have seen them: answered, failed, and not
// mirrored for lack of room.
func Examples() [][]Event {
	price := 0.0004
	stable := Answer{
		Response: &Response{
			Model: "house-large-2", Output: "Rechnung 2041: 89,50 Euro", FinishReason: "stop",
		},
		Usage:  &Usage{InputTokens: 31, OutputTokens: 12, CostUSD: &price},
		Timing: &Timing{DurationMS: 812.4},
	}
	call := ToolCall{Name: "find_invoice", Arguments: json.RawMessage(`{"number":"2041"}`)}
	candidate := Answer{
		Response: &Response{
			Model: "house-small-3", Output: "2041, 89,50 € 🧾", FinishReason: "stop", Stream: true,
			ToolCalls: []ToolCall{call},
		},
		Usage:  &Usage{InputTokens: 31, OutputTokens: 9},
		Timing: &Timing{DurationMS: 388.1, TimeToFirstTokenMS: 91},
	}
	failed := Answer{
		Error: &Error{Type: "timeout", Status: 504}, Timing: &Timing{DurationMS: 30000},
	}
	request := Event{
		RolloutID: "invoices", Language: "de", Workflow: "extraction",
		Request: &Request{Prompt: "Rechnung 2041?"},
	}
	noon := time.Date(2026, time.March, 2, 12, 0, 0, 250_000_000, time.UTC)
	first, second, third := request, request, request
	first.PairID, first.RequestTime = "inv-55", noon
	second.PairID, second.RequestTime = "inv-56", noon.Add(time.Second)
	second.ConversationID, second.Turn = "会話-8841", 2
	third.PairID, third.RequestTime = "inv-57", noon.Add(2*time.Second)
	return [][]Event{
		Shadow(first, stable, candidate),
		Shadow(second, stable, failed),
		Shadow(third, stable, NotStarted),
	}
}
