// The segmentio/kafka-go driver: the scenario of ../../README.md. The client has no idempotent producer.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	s "ottla/compat/scenario"
)

var client = &kafka.Client{Addr: kafka.TCP(s.Bootstrap), Timeout: 10 * time.Second}

func create(topic string) error {
	answer, err := client.CreateTopics(context.Background(), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: s.Partitions, ReplicationFactor: 1}},
	})
	if err != nil {
		return err
	}
	if err := answer.Errors[topic]; err != nil {
		return err
	}
	return s.WaitUntil(topic+" has its partitions", func() bool {
		t, found := describe(topic)
		return found && len(t.Partitions) == s.Partitions
	})
}

func describe(topic string) (kafka.Topic, bool) {
	// All topics, since asking for one by name would create it again where topics are created by asking.
	m, err := client.Metadata(context.Background(), &kafka.MetadataRequest{})
	if err == nil {
		for _, t := range m.Topics {
			if t.Name == topic && t.Error == nil {
				return t, true
			}
		}
	}
	return kafka.Topic{}, false
}

// toPartition sends each record where its WriterData says.
func toPartition(m kafka.Message, _ ...int) int { return m.WriterData.(int) }

func produce(topic string, sent []s.Record, codec kafka.Compression, acks kafka.RequiredAcks) error {
	w := &kafka.Writer{
		Addr: kafka.TCP(s.Bootstrap), Topic: topic, Balancer: kafka.BalancerFunc(toPartition),
		RequiredAcks: acks, Compression: codec, BatchTimeout: 10 * time.Millisecond,
	}
	messages := make([]kafka.Message, 0, len(sent))
	for _, r := range sent {
		m := kafka.Message{Key: r.Key, Value: r.Value, WriterData: r.Partition}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, kafka.Header{Key: h.Key, Value: []byte(h.Value)})
		}
		messages = append(messages, m)
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.Deadline)
	defer cancel()
	return errors.Join(w.WriteMessages(ctx, messages...), w.Close())
}

func toRecord(m kafka.Message) s.Record {
	r := s.Record{Partition: m.Partition, Key: m.Key, Value: m.Value}
	if len(r.Value) == 0 {
		r.Value = nil // the client does not tell null from empty
	}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, s.Header{Key: h.Key, Value: string(h.Value)})
	}
	return r
}

func consumeAll(topic string, sent []s.Record) ([]s.Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.Deadline)
	defer cancel()
	var got []s.Record
	for p := 0; p < s.Partitions; p++ {
		r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{s.Bootstrap}, Topic: topic, Partition: p, MaxWait: 100 * time.Millisecond})
		for n := 0; n < s.Count/s.Partitions; n++ {
			m, err := r.ReadMessage(ctx)
			if err != nil {
				return got, fmt.Errorf("partition %d after %d records: %w", p, n, err)
			}
			got = append(got, toRecord(m))
		}
		lag, err := r.ReadLag(ctx)
		if err = errors.Join(err, r.Close()); err != nil {
			return got, err
		}
		if lag != 0 {
			return got, fmt.Errorf("partition %d holds %d records too many", p, lag)
		}
	}
	return got, nil
}

func roundTrip(name string, codec kafka.Compression, acks kafka.RequiredAcks) error {
	topic := s.Prefix + "-" + name
	if err := create(topic); err != nil {
		return err
	}
	sent := s.Records(name)
	// Nobody answers acks=0, so a broker that has not yet taken the lead loses those records rightly: it takes it first.
	if err := produce(topic, sent[:s.Partitions], 0, kafka.RequireAll); err != nil {
		return err
	}
	if err := produce(topic, sent[s.Partitions:], codec, acks); err != nil {
		return err
	}
	got, err := consumeAll(topic, sent)
	if err != nil {
		return err
	}
	return s.Compare(sent, got)
}

// member is one group member; got is filled by one reader per assigned partition and generation.
type member struct {
	group    *kafka.ConsumerGroup
	mu       sync.Mutex
	assigned map[int]bool
	got      []s.Record
	done     chan struct{}
}

func join(topic, group string) (*member, error) {
	g, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: group, Brokers: []string{s.Bootstrap}, Topics: []string{topic}, StartOffset: kafka.FirstOffset,
		HeartbeatInterval: 300 * time.Millisecond, SessionTimeout: 10 * time.Second, JoinGroupBackoff: 200 * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	m := &member{group: g, assigned: map[int]bool{}, done: make(chan struct{})}
	go m.run(topic)
	return m, nil
}

func (m *member) run(topic string) {
	defer close(m.done)
	for {
		gen, err := m.group.Next(context.Background())
		if errors.Is(err, kafka.ErrGroupClosed) {
			return
		}
		if err != nil {
			continue
		}
		m.mu.Lock()
		m.assigned = map[int]bool{}
		for _, a := range gen.Assignments[topic] {
			m.assigned[a.ID] = true
		}
		m.mu.Unlock()
		for _, a := range gen.Assignments[topic] {
			gen.Start(func(ctx context.Context) { m.read(ctx, gen, topic, a) })
		}
	}
}

func (m *member) read(ctx context.Context, gen *kafka.Generation, topic string, a kafka.PartitionAssignment) {
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{s.Bootstrap}, Topic: topic, Partition: a.ID, MaxWait: 100 * time.Millisecond})
	defer r.Close()
	if err := r.SetOffset(a.Offset); err != nil {
		return
	}
	for {
		msg, err := r.ReadMessage(ctx)
		if err != nil {
			return
		}
		m.mu.Lock()
		m.got = append(m.got, toRecord(msg))
		m.mu.Unlock()
		_ = gen.CommitOffsets(map[string]map[int]int64{topic: {a.ID: msg.Offset + 1}})
	}
}

func (m *member) state() (map[int]bool, []s.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.assigned, append([]s.Record(nil), m.got...)
}

func (m *member) count() int { a, _ := m.state(); return len(a) }

func (m *member) leave() error {
	err := m.group.Close()
	<-m.done
	return err
}

func rebalance() error {
	topic, group := s.Prefix+"-rebalance", s.Prefix+"-rebalance-group"
	if err := create(topic); err != nil {
		return err
	}
	a, err := join(topic, group)
	if err != nil {
		return err
	}
	if err := s.WaitUntil("the first member has every partition", func() bool { return a.count() == s.Partitions }); err != nil {
		return err
	}
	b, err := join(topic, group)
	if err != nil {
		return err
	}
	shared := func() bool {
		both := map[int]bool{}
		for _, m := range []*member{a, b} {
			assigned, _ := m.state()
			for p := range assigned {
				both[p] = true
			}
		}
		return len(both) == s.Partitions && a.count() == 2 && b.count() == 2
	}
	if err := s.WaitUntil("two members share the partitions", shared); err != nil {
		return err
	}
	sent := s.Records("rebalance")
	if err := produce(topic, sent, 0, kafka.RequireAll); err != nil {
		return err
	}
	all := func() []s.Record { _, x := a.state(); _, y := b.state(); return append(x, y...) }
	if err := s.WaitUntil("every record arrives", func() bool { return len(all()) >= len(sent) }); err != nil {
		return err
	}
	if err := s.Compare(sent, all()); err != nil {
		return err
	}
	if err := a.leave(); err != nil {
		return err
	}
	if err := s.WaitUntil("the remaining member takes over", func() bool { return b.count() == s.Partitions }); err != nil {
		return err
	}
	return b.leave()
}

func commitResume() error {
	topic, group := s.Prefix+"-commit", s.Prefix+"-commit-group"
	if err := create(topic); err != nil {
		return err
	}
	sent := s.Records("commit")
	if err := produce(topic, sent, 0, kafka.RequireAll); err != nil {
		return err
	}
	var got []s.Record
	for _, upTo := range []int{len(sent) / 2, len(sent)} {
		if err := readCommitted(topic, group, upTo, &got); err != nil {
			return err
		}
		committed, err := committedSum(topic, group)
		if err != nil {
			return err
		}
		if committed != upTo {
			return fmt.Errorf("committed %d of %d", committed, upTo)
		}
	}
	return s.Compare(sent, got)
}

func readCommitted(topic, group string, upTo int, got *[]s.Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.Deadline)
	defer cancel()
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{s.Bootstrap}, Topic: topic, GroupID: group, StartOffset: kafka.FirstOffset,
		MaxWait: 100 * time.Millisecond, HeartbeatInterval: 300 * time.Millisecond,
	})
	for len(*got) < upTo {
		m, err := r.FetchMessage(ctx)
		if err != nil {
			return errors.Join(fmt.Errorf("after %d records: %w", len(*got), err), r.Close())
		}
		*got = append(*got, toRecord(m))
		if err := r.CommitMessages(ctx, m); err != nil {
			return errors.Join(err, r.Close())
		}
	}
	return r.Close()
}

func committedSum(topic, group string) (int, error) {
	answer, err := client.OffsetFetch(context.Background(), &kafka.OffsetFetchRequest{
		GroupID: group, Topics: map[string][]int{topic: {0, 1, 2, 3}},
	})
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, p := range answer.Topics[topic] {
		sum += int(max(p.CommittedOffset, 0))
	}
	return sum, answer.Error
}

func remove() error {
	topic := s.Prefix + "-none"
	answer, err := client.DeleteTopics(context.Background(), &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil {
		return err
	}
	if err := answer.Errors[topic]; err != nil {
		return err
	}
	return s.WaitUntil(topic+" is gone", func() bool { _, found := describe(topic); return !found })
}

func main() {
	s.Client("segmentio/kafka-go", s.Module("github.com/segmentio/kafka-go"))
	s.Step("create", func() error { return create(s.Prefix + "-created") })
	for codec, name := range []string{"none", "gzip", "snappy", "lz4", "zstd"} { // indexed by Kafka's codec ids
		s.Step(name, func() error { return roundTrip(name, kafka.Compression(codec), kafka.RequireAll) })
	}
	s.Step("acks-0", func() error { return roundTrip("acks-0", 0, kafka.RequireNone) })
	s.Step("acks-1", func() error { return roundTrip("acks-1", 0, kafka.RequireOne) })
	s.Step("acks-all", func() error { return roundTrip("acks-all", 0, kafka.RequireAll) })
	s.Step("rebalance", rebalance)
	s.Step("commit-resume", commitResume)
	s.Step("delete", remove)
	s.Finish()
}
