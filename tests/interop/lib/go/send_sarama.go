// Sends a share of the records with sarama.
//
// Shopify's releases log in by the raw SASL dialect (SaslHandshake v0, then a bare token) and ask for no API versions before;
// Config.Version alone decides what they send. IBM's newer ones ask first, and are held to the old ways for old formats.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"reflect"
	"time"

	"github.com/Shopify/sarama"
)

const (
	libraryPath  = "github.com/Shopify/sarama"
	retryBackoff = 250 * time.Millisecond
)

func send(s *spec, share share, deadline time.Time, out *report) error {
	if s.Verbose {
		sarama.Logger = log.New(os.Stderr, "[sarama] ", 0)
	}
	config, err := configOf(s)
	if err != nil {
		return err
	}
	producer, err := sarama.NewAsyncProducer([]string{s.Bootstrap}, config)
	if err != nil {
		return err
	}
	go func() {
		for r := range share.records {
			s.pause()
			producer.Input() <- messageOf(s, &r)
		}
	}()
	if collect(producer, share.count, time.Until(deadline), out) {
		// Closing flushes what acks=0 has only queued.
		producer.AsyncClose()
		for range producer.Successes() {
		}
	}
	return nil
}

// collect waits for one outcome per record, at most until the limit, and says whether all came.
func collect(producer sarama.AsyncProducer, count int, limit time.Duration, out *report) bool {
	late := time.After(limit)
	for left := count; left > 0; left-- {
		select {
		case message := <-producer.Successes():
			out.settle(message.Metadata.(int), nil)
		case failed := <-producer.Errors():
			out.settle(failed.Msg.Metadata.(int), failed.Err)
		case <-late:
			return false
		}
	}
	return true
}

func configOf(s *spec) (config *sarama.Config, err error) {
	config = sarama.NewConfig()
	config.ClientID = "sluice-test"
	config.Net.TLS.Enable = true
	if config.Net.TLS.Config, err = s.tls(); err != nil {
		return nil, err
	}
	config.Net.SASL.Enable = true
	config.Net.SASL.User = s.User
	config.Net.SASL.Password = s.Password
	config.Net.DialTimeout = s.timeout()
	config.Net.ReadTimeout = s.timeout()
	config.Net.WriteTimeout = s.timeout()
	// As Beats and Telegraf set it: ask for the topics in use only.
	config.Metadata.Full = false
	config.Metadata.Timeout = s.timeout()
	config.Producer.Timeout = s.requestTimeout()
	config.Producer.Return.Successes = true
	config.Producer.Return.Errors = true
	config.Producer.Flush.Frequency = 5 * time.Millisecond
	config.Producer.MaxMessageBytes = requestBytesMax
	if s.Patient {
		config.Metadata.Retry.Max = int(s.timeout() / retryBackoff)
		config.Metadata.Retry.Backoff = retryBackoff
		config.Producer.Retry.Max = int(s.timeout() / retryBackoff)
		config.Producer.Retry.Backoff = retryBackoff
	}
	if config.Producer.RequiredAcks, err = acksOf(s.Acks); err != nil {
		return nil, err
	}
	if config.Producer.Compression, err = codecOf(s.Codec); err != nil {
		return nil, err
	}
	if err = setVersion(config, s); err != nil {
		return nil, err
	}
	if s.Idempotent {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
	}
	return config, config.Validate()
}

// setVersion sets the oldest Config.Version that sends this message format, or leaves the default where that sends it; zstd needs
// Produce v7.
func setVersion(config *sarama.Config, s *spec) (err error) {
	if s.Broker != "" {
		config.Version, err = sarama.ParseKafkaVersion(s.Broker)
		return err
	}
	needed := sarama.V0_11_0_0
	switch {
	case s.MessageFormat == 0:
		needed = sarama.V0_8_2_0
	case s.MessageFormat == 1:
		needed = sarama.V0_10_2_0
	case s.MessageFormat != 2:
		return fmt.Errorf("unknown message format %d", s.MessageFormat)
	case s.Codec == "zstd":
		needed = sarama.V2_1_0_0
	}
	if s.MessageFormat == 2 && config.Version.IsAtLeast(sarama.V2_1_0_0) {
		return nil
	}
	config.Version = needed
	if s.MessageFormat < 2 {
		config.Net.SASL.Version = sarama.SASLHandshakeV0
		// A setting of newer releases only.
		if asks := reflect.ValueOf(config).Elem().FieldByName("ApiVersionsRequest"); asks.IsValid() {
			asks.SetBool(false)
		}
	}
	return nil
}

func acksOf(acks string) (sarama.RequiredAcks, error) {
	switch acks {
	case "0":
		return sarama.NoResponse, nil
	case "1":
		return sarama.WaitForLocal, nil
	case "all":
		return sarama.WaitForAll, nil
	}
	return 0, fmt.Errorf("unknown acks %q", acks)
}

func codecOf(name string) (sarama.CompressionCodec, error) {
	codecs := []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
	}
	for _, codec := range codecs {
		if codec.String() == name {
			return codec, nil
		}
	}
	return 0, fmt.Errorf("unknown codec %q", name)
}

func messageOf(s *spec, r *record) *sarama.ProducerMessage {
	message := &sarama.ProducerMessage{Topic: s.Topic, Timestamp: time.UnixMilli(r.Timestamp), Metadata: r.index}
	// A nil slice inside the interface would be sent as empty, not as null.
	if r.Key != nil {
		message.Key = sarama.ByteEncoder(r.Key)
	}
	if r.Value != nil {
		message.Value = sarama.ByteEncoder(r.Value)
	}
	if s.MessageFormat < 2 {
		return message
	}
	for _, header := range r.Headers {
		message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(header.name), Value: header.value})
	}
	return message
}

func codeOf(err error) (int, bool) {
	var kafka sarama.KError
	known := errors.As(err, &kafka)
	return int(kafka), known
}
