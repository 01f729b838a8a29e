// Sends a file of records with Shopify/sarama and says what became of each: the contract is in ../../README.md.
//
// This client authenticates in the raw SASL dialect (SaslHandshake v0, then a bare token) and asks for no API
// versions; Config.Version alone decides what it sends.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"runtime/debug"
	"time"

	"github.com/Shopify/sarama"
)

const libraryPath = "github.com/Shopify/sarama"

// How long after the records' own time-out the program gives up on answers.
const grace = 8 * time.Second

type spec struct {
	Bootstrap     string `json:"bootstrap"`
	User          string `json:"user"`
	Password      string `json:"password"`
	CA            string `json:"ca"`
	Topic         string `json:"topic"`
	Codec         string `json:"codec"`
	Acks          string `json:"acks"`
	Idempotent    bool   `json:"idempotent"`
	MessageFormat int    `json:"message_format"`
	TimeoutMs     int    `json:"timeout_ms"`
	// 0: as the time-out of a record.
	RequestTimeoutMs int    `json:"request_timeout_ms"`
	Verbose          bool   `json:"verbose"`
	Records          string `json:"records"`
}

type record struct {
	Key       *string      `json:"key"`
	Value     *string      `json:"value"`
	Headers   [][2]*string `json:"headers"`
	Timestamp int64        `json:"timestamp_ms"`
}

type failure struct {
	Record *int   `json:"record"`
	Code   *int   `json:"code"`
	Name   string `json:"name"`
	Text   string `json:"text"`
}

type report struct {
	Delivered int       `json:"delivered"`
	Errors    []failure `json:"errors"`
	Library   string    `json:"library"`
	Version   string    `json:"version"`
}

func main() {
	out := report{Errors: []failure{}, Library: libraryPath, Version: libraryVersion()}
	if err := run(&out); err != nil {
		out.Errors = append(out.Errors, failureOf(nil, err))
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(out *report) error {
	var s spec
	if err := json.NewDecoder(os.Stdin).Decode(&s); err != nil {
		return err
	}
	messages, err := readMessages(&s)
	if err != nil {
		return err
	}
	if s.Verbose {
		sarama.Logger = log.New(os.Stderr, "[sarama] ", 0)
	}
	config, err := configOf(&s)
	if err != nil {
		return err
	}
	producer, err := sarama.NewAsyncProducer([]string{s.Bootstrap}, config)
	if err != nil {
		return err
	}
	go func() {
		for _, message := range messages {
			producer.Input() <- message
		}
	}()
	collect(producer, len(messages), time.Duration(s.TimeoutMs)*time.Millisecond+grace, out)
	return nil
}

// collect waits for one outcome per record, at most until the deadline; then whatever lacks one is a failure.
func collect(producer sarama.AsyncProducer, count int, limit time.Duration, out *report) {
	deadline := time.After(limit)
	seen := make([]bool, count)
	for left := count; left > 0; left-- {
		select {
		case message := <-producer.Successes():
			seen[message.Metadata.(int)] = true
			out.Delivered++
		case failed := <-producer.Errors():
			at := failed.Msg.Metadata.(int)
			seen[at] = true
			out.Errors = append(out.Errors, failureOf(&at, failed.Err))
		case <-deadline:
			for at := range seen {
				if !seen[at] {
					at := at
					out.Errors = append(out.Errors, failure{Record: &at, Name: "NoAnswer", Text: "no outcome before the deadline"})
				}
			}
			return
		}
	}
	// Closing flushes what acks=0 has only queued.
	producer.AsyncClose()
	for range producer.Successes() {
	}
}

func configOf(s *spec) (*sarama.Config, error) {
	pem, err := os.ReadFile(s.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", s.CA)
	}
	config := sarama.NewConfig()
	config.ClientID = "sluice-test"
	config.Net.TLS.Enable = true
	config.Net.TLS.Config = &tls.Config{RootCAs: roots}
	config.Net.SASL.Enable = true
	config.Net.SASL.User = s.User
	config.Net.SASL.Password = s.Password
	timeout := time.Duration(s.TimeoutMs) * time.Millisecond
	config.Net.DialTimeout = timeout
	config.Net.ReadTimeout = timeout
	config.Net.WriteTimeout = timeout
	// As Beats and Telegraf set it: ask for the topics in use only.
	config.Metadata.Full = false
	config.Metadata.Timeout = timeout
	config.Producer.Timeout = timeout
	if s.RequestTimeoutMs > 0 {
		config.Producer.Timeout = time.Duration(s.RequestTimeoutMs) * time.Millisecond
	}
	config.Producer.Return.Successes = true
	config.Producer.Return.Errors = true
	config.Producer.Flush.Frequency = 5 * time.Millisecond
	if config.Producer.RequiredAcks, err = acksOf(s.Acks); err != nil {
		return nil, err
	}
	if config.Producer.Compression, err = codecOf(s.Codec); err != nil {
		return nil, err
	}
	if config.Version, err = versionOf(s); err != nil {
		return nil, err
	}
	if s.Idempotent {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
	}
	return config, config.Validate()
}

// versionOf is the oldest Config.Version that sends this message format; zstd needs Produce v7.
func versionOf(s *spec) (sarama.KafkaVersion, error) {
	switch {
	case s.MessageFormat == 0:
		return sarama.V0_8_2_0, nil
	case s.MessageFormat == 1:
		return sarama.V0_10_2_0, nil
	case s.MessageFormat == 2 && s.Codec == "zstd":
		return sarama.V2_1_0_0, nil
	case s.MessageFormat == 2:
		return sarama.V0_11_0_0, nil
	}
	return sarama.KafkaVersion{}, fmt.Errorf("unknown message format %d", s.MessageFormat)
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

func codecOf(name string) (codec sarama.CompressionCodec, err error) {
	err = codec.UnmarshalText([]byte(name))
	return codec, err
}

func readMessages(s *spec) ([]*sarama.ProducerMessage, error) {
	file, err := os.Open(s.Records)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := json.NewDecoder(bufio.NewReader(file))
	var messages []*sarama.ProducerMessage
	for lines.More() {
		var r record
		if err := lines.Decode(&r); err != nil {
			return nil, err
		}
		message, err := messageOf(s, &r)
		if err != nil {
			return nil, err
		}
		message.Metadata = len(messages)
		messages = append(messages, message)
	}
	return messages, nil
}

func messageOf(s *spec, r *record) (*sarama.ProducerMessage, error) {
	message := &sarama.ProducerMessage{Topic: s.Topic, Timestamp: time.UnixMilli(r.Timestamp)}
	key, err := bytesOf(r.Key)
	if err != nil {
		return nil, err
	}
	value, err := bytesOf(r.Value)
	if err != nil {
		return nil, err
	}
	// A nil slice inside the interface would be sent as empty, not as null.
	if key != nil {
		message.Key = sarama.ByteEncoder(key)
	}
	if value != nil {
		message.Value = sarama.ByteEncoder(value)
	}
	if s.MessageFormat < 2 {
		return message, nil
	}
	for _, header := range r.Headers {
		value, err := bytesOf(header[1])
		if err != nil {
			return nil, err
		}
		message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(*header[0]), Value: value})
	}
	return message, nil
}

func bytesOf(text *string) ([]byte, error) {
	if text == nil {
		return nil, nil
	}
	return base64.StdEncoding.DecodeString(*text)
}

func failureOf(at *int, err error) failure {
	failed := failure{Record: at, Name: fmt.Sprintf("%T", err), Text: err.Error()}
	var kafka sarama.KError
	if errors.As(err, &kafka) {
		code := int(kafka)
		failed.Code = &code
		failed.Name = "KError"
	}
	return failed
}

func libraryVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, module := range info.Deps {
		if module.Path == libraryPath {
			return module.Version
		}
	}
	return "unknown"
}
