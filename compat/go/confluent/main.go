// The confluent-kafka-go driver (librdkafka through cgo): the scenario of ../../README.md.
package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"

	s "ottla/compat/scenario"
)

func config(more kafka.ConfigMap) *kafka.ConfigMap {
	c := kafka.ConfigMap{"bootstrap.servers": s.Bootstrap}
	for k, v := range more {
		c[k] = v
	}
	return &c
}

func withAdmin(action func(*kafka.AdminClient) error) error {
	admin, err := kafka.NewAdminClient(config(nil))
	if err != nil {
		return err
	}
	defer admin.Close()
	return action(admin)
}

func partitions(admin *kafka.AdminClient, topic string) int {
	// All topics, since asking for one by name would create it again where topics are created by asking.
	m, err := admin.GetMetadata(nil, true, 10_000)
	if err != nil {
		return -1
	}
	return len(m.Topics[topic].Partitions)
}

func create(topic string) error {
	return withAdmin(func(admin *kafka.AdminClient) error {
		results, err := admin.CreateTopics(context.Background(),
			[]kafka.TopicSpecification{{Topic: topic, NumPartitions: s.Partitions, ReplicationFactor: 1}})
		if err != nil {
			return err
		}
		if results[0].Error.Code() != kafka.ErrNoError {
			return results[0].Error
		}
		return s.WaitUntil(topic+" has its partitions", func() bool { return partitions(admin, topic) == s.Partitions })
	})
}

func produce(topic string, sent []s.Record, more kafka.ConfigMap) error {
	p, err := kafka.NewProducer(config(more))
	if err != nil {
		return err
	}
	defer p.Close()
	delivered := make(chan kafka.Event, len(sent))
	for _, r := range sent {
		m := &kafka.Message{
			TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: int32(r.Partition)}, Key: r.Key, Value: r.Value,
		}
		for _, h := range r.Headers {
			m.Headers = append(m.Headers, kafka.Header{Key: h.Key, Value: []byte(h.Value)})
		}
		if err := p.Produce(m, delivered); err != nil {
			return err
		}
	}
	for range sent {
		select {
		case e := <-delivered:
			if err := e.(*kafka.Message).TopicPartition.Error; err != nil {
				return err
			}
		case <-time.After(s.Deadline):
			return fmt.Errorf("no delivery report within %v", s.Deadline)
		}
	}
	return nil
}

func toRecord(m *kafka.Message) s.Record {
	r := s.Record{Partition: int(m.TopicPartition.Partition), Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, s.Header{Key: h.Key, Value: string(h.Value)})
	}
	return r
}

// member is one consumer with its poll loop; the loop alone touches the consumer.
type member struct {
	mu       sync.Mutex
	assigned map[int32]bool
	got      []s.Record
	stop     chan struct{}
	done     chan error
}

func join(topic, group string) (*member, error) {
	c, err := kafka.NewConsumer(config(kafka.ConfigMap{
		"group.id": group, "auto.offset.reset": "earliest", "session.timeout.ms": 10000, "heartbeat.interval.ms": 300,
	}))
	if err != nil {
		return nil, err
	}
	if err := c.SubscribeTopics([]string{topic}, nil); err != nil {
		return nil, err
	}
	m := &member{stop: make(chan struct{}), done: make(chan error, 1)}
	go m.run(c)
	return m, nil
}

func (m *member) run(c *kafka.Consumer) {
	for {
		select {
		case <-m.stop:
			m.done <- c.Close()
			return
		default:
		}
		msg, _ := c.Poll(100).(*kafka.Message)
		assignment, _ := c.Assignment()
		m.mu.Lock()
		m.assigned = map[int32]bool{}
		for _, t := range assignment {
			m.assigned[t.Partition] = true
		}
		if msg != nil && msg.TopicPartition.Error == nil {
			m.got = append(m.got, toRecord(msg))
		}
		m.mu.Unlock()
	}
}

func (m *member) state() (map[int32]bool, []s.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.assigned, append([]s.Record(nil), m.got...)
}

func (m *member) count() int { a, _ := m.state(); return len(a) }

func (m *member) leave() error {
	close(m.stop)
	select {
	case err := <-m.done:
		return err
	case <-time.After(s.Deadline):
		return fmt.Errorf("the member did not close within %v", s.Deadline)
	}
}

func consumeAll(topic string, count int) ([]s.Record, error) {
	c, err := kafka.NewConsumer(config(kafka.ConfigMap{"group.id": s.Prefix + "-reader", "enable.auto.commit": false}))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var all []kafka.TopicPartition
	for p := range int32(s.Partitions) {
		all = append(all, kafka.TopicPartition{Topic: &topic, Partition: p, Offset: kafka.OffsetBeginning})
	}
	if err := c.Assign(all); err != nil {
		return nil, err
	}
	var got []s.Record
	for end := time.Now().Add(s.Deadline); ; {
		m, err := c.ReadMessage(300 * time.Millisecond)
		if err == nil {
			got = append(got, toRecord(m))
			continue
		}
		if !err.(kafka.Error).IsTimeout() {
			return got, err
		}
		// A quiet 300 ms after the last record also shows that nothing more comes.
		if len(got) >= count {
			return got, nil
		}
		if time.Now().After(end) {
			return got, fmt.Errorf("got %d of %d records", len(got), count)
		}
	}
}

func roundTrip(name string, more kafka.ConfigMap) error {
	topic := s.Prefix + "-" + name
	if err := create(topic); err != nil {
		return err
	}
	sent := s.Records(name)
	// Nobody answers acks=0, so a broker that has not yet taken the lead loses those records rightly: it takes it first.
	if err := produce(topic, sent[:s.Partitions], kafka.ConfigMap{"acks": "all"}); err != nil {
		return err
	}
	if err := produce(topic, sent[s.Partitions:], more); err != nil {
		return err
	}
	got, err := consumeAll(topic, len(sent))
	if err != nil {
		return err
	}
	return s.Compare(sent, got)
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
		both := map[int32]bool{}
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
	if err := produce(topic, sent, nil); err != nil {
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
	if err := produce(topic, sent, nil); err != nil {
		return err
	}
	var got []s.Record
	for _, upTo := range []int{len(sent) / 2, len(sent)} {
		committed, err := readAndCommit(topic, group, upTo, &got)
		if err != nil {
			return err
		}
		if committed != upTo {
			return fmt.Errorf("committed %d of %d", committed, upTo)
		}
	}
	return s.Compare(sent, got)
}

func readAndCommit(topic, group string, upTo int, got *[]s.Record) (int, error) {
	c, err := kafka.NewConsumer(config(kafka.ConfigMap{
		"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": false, "enable.auto.offset.store": true,
	}))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SubscribeTopics([]string{topic}, nil); err != nil {
		return 0, err
	}
	for end := time.Now().Add(s.Deadline); len(*got) < upTo; {
		m, err := c.ReadMessage(200 * time.Millisecond)
		if err == nil {
			*got = append(*got, toRecord(m))
		} else if !err.(kafka.Error).IsTimeout() {
			return 0, err
		} else if time.Now().After(end) {
			return 0, fmt.Errorf("got %d of %d records", len(*got), upTo)
		}
	}
	if _, err := c.Commit(); err != nil {
		return 0, err
	}
	assignment, err := c.Assignment()
	if err != nil {
		return 0, err
	}
	committed, err := c.Committed(assignment, 10_000)
	sum := 0
	for _, t := range committed {
		sum += int(max(t.Offset, 0))
	}
	return sum, err
}

func remove() error {
	topic := s.Prefix + "-none"
	return withAdmin(func(admin *kafka.AdminClient) error {
		results, err := admin.DeleteTopics(context.Background(), []string{topic})
		if err != nil {
			return err
		}
		if results[0].Error.Code() != kafka.ErrNoError {
			return results[0].Error
		}
		return s.WaitUntil(topic+" is gone", func() bool { return partitions(admin, topic) == 0 })
	})
}

func main() {
	_, librdkafka := kafka.LibraryVersion()
	s.Client("confluent-kafka-go", fmt.Sprintf("%s (librdkafka %s)", s.Module("github.com/confluentinc/confluent-kafka-go/v2"), librdkafka))
	s.Step("create", func() error { return create(s.Prefix + "-created") })
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		s.Step(codec, func() error { return roundTrip(codec, kafka.ConfigMap{"compression.type": codec}) })
	}
	s.Step("idempotent", func() error { return roundTrip("idempotent", kafka.ConfigMap{"enable.idempotence": true}) })
	for _, acks := range []string{"0", "1", "all"} {
		s.Step("acks-"+acks, func() error { return roundTrip("acks-"+acks, kafka.ConfigMap{"acks": acks}) })
	}
	s.Step("rebalance", rebalance)
	s.Step("commit-resume", commitResume)
	s.Step("delete", remove)
	s.Finish()
}
