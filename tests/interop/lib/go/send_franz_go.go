// Sends a share of the records with franz-go. Told that the broker is old, it sends old message formats.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

const (
	libraryPath = "github.com/twmb/franz-go"
	// Kafka's number for Produce.
	produceKey = 0
)

func send(s *spec, share share, deadline time.Time, out *report) error {
	options, err := optionsOf(s)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	// Not by RecordDeliveryTimeout, which counts from a record's own timestamp.
	limit, cancel := context.WithTimeout(context.Background(), s.timeout())
	defer cancel()
	for r := range share.records {
		s.pause()
		index := r.index
		client.Produce(limit, recordOf(s, &r), func(_ *kgo.Record, err error) { out.settle(index, err) })
	}
	if err := client.Flush(limit); err != nil {
		return err
	}
	client.Close()
	return nil
}

func recordOf(s *spec, r *record) *kgo.Record {
	message := &kgo.Record{Topic: s.Topic, Key: r.Key, Value: r.Value, Timestamp: time.UnixMilli(r.Timestamp)}
	if s.MessageFormat < 2 {
		return message
	}
	for _, header := range r.Headers {
		message.Headers = append(message.Headers, kgo.RecordHeader{Key: header.name, Value: header.value})
	}
	return message
}

func optionsOf(s *spec) ([]kgo.Opt, error) {
	config, err := s.tls()
	if err != nil {
		return nil, err
	}
	acks, known := allAcks[s.Acks]
	if !known {
		return nil, fmt.Errorf("unknown acks %q", s.Acks)
	}
	codec, known := codecs[s.Codec]
	if !known {
		return nil, fmt.Errorf("unknown codec %q", s.Codec)
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(s.Bootstrap),
		kgo.ClientID("sluice-test"),
		kgo.DialTLSConfig(config),
		kgo.SASL(plain.Auth{User: s.User, Pass: s.Password}.AsMechanism()),
		kgo.RequiredAcks(acks),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerLinger(5 * time.Millisecond),
		kgo.ProducerBatchMaxBytes(requestBytesMax),
	}
	if !s.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	if s.MessageFormat < 2 {
		options = append(options, kgo.MaxVersions(oldBroker(s.MessageFormat)))
	}
	return options, nil
}

var (
	allAcks = map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks()}
	codecs  = map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
)

// oldBroker is one that can be logged in to, and takes no newer message format: Produce v1 carries 0, v2 carries 1.
func oldBroker(messageFormat int) *kversion.Versions {
	versions := kversion.V0_10_2()
	versions.SetMaxKeyVersion(produceKey, int16(messageFormat+1))
	return versions
}

func codeOf(err error) (int, bool) {
	var kafka *kerr.Error
	if !errors.As(err, &kafka) {
		return 0, false
	}
	return int(kafka.Code), true
}
