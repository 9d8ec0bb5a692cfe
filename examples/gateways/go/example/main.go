// Prints the messages of the example's events, one a line.
package main

import (
	"encoding/json"
	"log"
	"os"

	"example.com/gateway/understudy"
)

const partitions = 12

type message struct {
	Key       string `json:"key"`
	Partition int    `json:"partition"`
	Value     string `json:"value"`
}

func main() {
	out := json.NewEncoder(os.Stdout)
	for _, events := range understudy.Examples() {
		for _, event := range events {
			value, err := json.Marshal(event)
			if err != nil {
				log.Fatal(err)
			}
			key := event.Key()
			one := message{key, understudy.Partition(key, partitions), string(value)}
			if err := out.Encode(one); err != nil {
				log.Fatal(err)
			}
		}
	}
}
