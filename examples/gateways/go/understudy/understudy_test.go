package understudy

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"
)

func TestKeysAndPartitions(t *testing.T) {
	content, err := os.ReadFile("../../vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Keys []struct {
			Event
			Key        string         `json:"key"`
			Murmur2    int32          `json:"murmur2"`
			Partitions map[string]int `json:"partitions"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(content, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Keys) == 0 {
		t.Fatal("no vectors")
	}
	for _, vector := range vectors.Keys {
		if key := vector.Event.Key(); key != vector.Key {
			t.Errorf("key %q, want %q", key, vector.Key)
		}
		if hash := Murmur2([]byte(vector.Key)); hash != vector.Murmur2 {
			t.Errorf("%q: hash %d, want %d", vector.Key, hash, vector.Murmur2)
		}
		for count, want := range vector.Partitions {
			partitions, _ := strconv.Atoi(count)
			if got := Partition(vector.Key, partitions); got != want {
				t.Errorf("%q of %d: %d, want %d", vector.Key, partitions, got, want)
			}
		}
	}
}
