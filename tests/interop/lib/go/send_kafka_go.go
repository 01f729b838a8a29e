// Sends a share of the records with segmentio's kafka-go. Its writer blocks until its messages have their outcome, so they are
// handed over in chunks.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/plain"
)

const (
	libraryPath = "github.com/segmentio/kafka-go"
	chunkMax    = 100
)

func send(s *spec, share share, deadline time.Time, out *report) error {
	config, err := s.tls()
	if err != nil {
		return err
	}
	writer, err := writerOf(s, config)
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(context.Background(), s.timeout())
	defer cancel()
	size := chunkMax
	if s.PauseMs > 0 {
		size = 1
	}
	for left := share.count; left > 0; left -= size {
		s.pause()
		sendChunk(limit, writer, share.next(min(size, left)), out)
	}
	return writer.Close()
}

func (share *share) next(count int) []record {
	var chunk []record
	for len(chunk) < count {
		chunk = append(chunk, <-share.records)
	}
	return chunk
}

func sendChunk(limit context.Context, writer *kafka.Writer, chunk []record, out *report) {
	var messages []kafka.Message
	for _, r := range chunk {
		message := kafka.Message{Key: r.Key, Value: r.Value, Time: time.UnixMilli(r.Timestamp)}
		for _, header := range r.Headers {
			message.Headers = append(message.Headers, kafka.Header{Key: header.name, Value: header.value})
		}
		messages = append(messages, message)
	}
	err := writer.WriteMessages(limit, messages...)
	var each kafka.WriteErrors
	apart := errors.As(err, &each)
	for at, r := range chunk {
		if apart {
			err = each[at]
		}
		out.settle(r.index, err)
	}
}

func writerOf(s *spec, config *tls.Config) (*kafka.Writer, error) {
	writer := &kafka.Writer{
		Addr:            kafka.TCP(s.Bootstrap),
		Topic:           s.Topic,
		BatchBytes:      requestBytesMax,
		BatchTimeout:    5 * time.Millisecond,
		ReadTimeout:     s.timeout(),
		WriteTimeout:    s.timeout(),
		MaxAttempts:     60,
		WriteBackoffMax: 250 * time.Millisecond,
		Transport: &kafka.Transport{
			ClientID:    "sluice-test",
			TLS:         config,
			SASL:        plain.Mechanism{Username: s.User, Password: s.Password},
			DialTimeout: s.timeout(),
			// Without this it lists all topics and calls unknown what is not in the list: a refused topic, or one with the
			// suffix that makes fields.
			MetadataTopics: []string{s.Topic},
		},
	}
	if err := writer.RequiredAcks.UnmarshalText([]byte(acksNames[s.Acks])); err != nil {
		return nil, err
	}
	if s.Codec != "none" {
		if err := writer.Compression.UnmarshalText([]byte(s.Codec)); err != nil {
			return nil, err
		}
	}
	if s.Idempotent || s.MessageFormat != 2 {
		return nil, fmt.Errorf("not within this client's power: %+v", s)
	}
	return writer, nil
}

var acksNames = map[string]string{"0": "none", "1": "one", "all": "all"}

func codeOf(err error) (int, bool) {
	var code kafka.Error
	known := errors.As(err, &code)
	return int(code), known
}
