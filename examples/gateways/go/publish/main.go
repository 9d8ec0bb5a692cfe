// Sends the example's events: `KAFKA=localhost:9092 go run ./publish`.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"strings"
	"time"

	"example.com/gateway/understudy"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Longer than a broker's restart: events that are given up are lost answers.
const deliveryTimeout = 30 * time.Second

func main() {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(setting("KAFKA", "localhost:9092"), ",")...),
		kgo.DefaultProduceTopic(setting("TOPIC", "understudy.events")),
		kgo.RecordDeliveryTimeout(deliveryTimeout),
		kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(byKey)),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	for _, events := range understudy.Examples() {
		records := make([]*kgo.Record, 0, len(events))
		for _, event := range events {
			value, err := json.Marshal(event)
			if err != nil {
				log.Fatal(err)
			}
			records = append(records, &kgo.Record{Key: []byte(event.Key()), Value: value})
		}
		// All sides of a request in one call: both sides wait and travel together.
		if err := client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
			log.Fatal(err)
		}
	}
}

func byKey(string) func(*kgo.Record, int) int {
	return func(record *kgo.Record, partitions int) int {
		return understudy.Partition(string(record.Key), partitions)
	}
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
