// Package scenario is what both Go drivers share: the records, the comparison and the STEP lines of ../README.md.
package scenario

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
)

// Partitions, Count and Deadline are those of every driver.
const (
	Partitions = 4
	Count      = 200
	Deadline   = 40 * time.Second
)

// Bootstrap is the broker under test; Prefix keeps one run's topics and groups apart from another's.
var (
	Bootstrap = os.Getenv("OTTLA_BOOTSTRAP")
	Prefix    = os.Getenv("OTTLA_PREFIX")
	failed    bool
)

// Header is one record header.
type Header struct {
	Key   string
	Value string
}

// Record is one record as it is compared: Value is nil for a tombstone.
type Record struct {
	Partition int
	Key       []byte
	Value     []byte
	Headers   []Header
}

// Records makes deterministic records: every tenth is a tombstone, every seventh is worth compressing.
func Records(tag string) []Record {
	made := make([]Record, 0, Count)
	for i := 0; i < Count; i++ {
		r := Record{Partition: i % Partitions, Key: fmt.Appendf(nil, "key-%d", i)}
		if i%10 != 9 {
			n := 1
			if i%7 == 0 {
				n = 60
			}
			r.Value = bytes.Repeat(fmt.Appendf(nil, "%s-%d ", tag, i), n)
		}
		if i%3 == 0 {
			r.Headers = []Header{{"tag", tag}, {"tag", "twice"}}
		}
		made = append(made, r)
	}
	return made
}

// Compare wants every record once, in the order of its partition.
func Compare(sent, got []Record) error {
	for p := 0; p < Partitions; p++ {
		want, have := of(sent, p), of(got, p)
		for i := 0; i < min(len(want), len(have)); i++ {
			if !reflect.DeepEqual(want[i], have[i]) {
				return fmt.Errorf("partition %d, record %d: sent %+v, got %+v", p, i, want[i], have[i])
			}
		}
		if len(want) != len(have) {
			return fmt.Errorf("partition %d: sent %d records, got %d", p, len(want), len(have))
		}
	}
	return nil
}

func of(records []Record, partition int) []Record {
	var some []Record
	for _, r := range records {
		if r.Partition == partition {
			some = append(some, r)
		}
	}
	return some
}

// WaitUntil polls the condition until it holds.
func WaitUntil(what string, condition func() bool) error {
	for end := time.Now().Add(Deadline); !condition(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("not within %v: %s", Deadline, what)
		}
	}
	return nil
}

// Client names the client under test.
func Client(name, version string) { fmt.Printf("CLIENT %s %s\n", name, version) }

// Step runs one step and prints its line; a failure does not stop the steps after it.
func Step(name string, action func() error) {
	err := guarded(action)
	if err != nil {
		failed = true
		fmt.Printf("STEP %s fail %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Printf("STEP %s ok\n", name)
}

func guarded(action func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "%s\n", debug.Stack())
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return action()
}

// Module is the version of a module as go.mod pinned it.
func Module(path string) string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "?"
}

// Finish ends the driver with its exit code.
func Finish() {
	if failed {
		os.Exit(1)
	}
}
