// What every sending program written in Go shares: the specification on stdin, the records, the report on stdout.
// The contract itself is in ../../README.md. A program brings `libraryPath`, `send`, which sends one producer's share, and
// `codeOf`, which finds Kafka's code in an error.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
)

const (
	// How long after the records' own time-out the program gives up on answers.
	grace = 8 * time.Second
	// How long closing may take after that.
	closing = 2 * time.Second
	// More than any test sends: what is too large is for the gateway to say.
	requestBytesMax = 8 << 20
	// Further errors are only counted.
	errorsMax = 1000
)

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
	// Empty: as the message format wants it.
	Broker string `json:"broker"`
	// It is to try again until its time-out, however seldom it does so by default.
	Patient   bool `json:"patient"`
	TimeoutMs int  `json:"timeout_ms"`
	Producers int  `json:"producers"`
	PauseMs   int  `json:"pause_ms"`
	// 0: as the time-out of a record.
	RequestTimeoutMs int  `json:"request_timeout_ms"`
	Verbose          bool `json:"verbose"`
	// A file; none where numbers are sent.
	Records string `json:"records"`
	Numbers int    `json:"numbers"`
}

// record is one line of the records file; JSON's base64 is Go's own for bytes, and null gives nil.
type record struct {
	index     int
	Key       []byte   `json:"key"`
	Value     []byte   `json:"value"`
	Headers   []header `json:"headers"`
	Timestamp int64    `json:"timestamp_ms"`
}

type header struct {
	name  string
	value []byte
}

// UnmarshalJSON reads a pair.
func (h *header) UnmarshalJSON(pair []byte) error {
	return json.Unmarshal(pair, &[2]any{&h.name, &h.value})
}

// source makes records when they are asked for: there may be a million.
type source struct {
	count int
	at    func(index int) record
}

// share is what one producer sends.
type share struct {
	count   int
	records <-chan record
}

type failure struct {
	Record *int   `json:"record"`
	Code   *int   `json:"code"`
	Name   string `json:"name"`
	Text   string `json:"text"`
}

// outcome is a byte: there may be a million.
type outcome byte

const (
	unsettled outcome = iota
	delivered
	failed
)

// report collects outcomes, from any goroutine; a record without one is an error in the end.
type report struct {
	lock     sync.Mutex
	outcomes []outcome
	general  []failure
	errors   []failure
}

func main() {
	var s spec
	if err := json.NewDecoder(os.Stdin).Decode(&s); err != nil {
		fail(err)
	}
	records, err := s.source()
	if err != nil {
		fail(err)
	}
	out := report{outcomes: make([]outcome, records.count)}
	deadline := time.Now().Add(s.timeout() + grace)
	sendShares(&s, records, deadline, &out)
	if err := json.NewEncoder(os.Stdout).Encode(out.show()); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// sendShares gives each producer its share of the records, and waits for them until shortly after the deadline.
func sendShares(s *spec, records *source, deadline time.Time, out *report) {
	var producers sync.WaitGroup
	for first := 0; first < s.Producers; first++ {
		share := records.share(first, s.Producers)
		producers.Add(1)
		go func() {
			defer producers.Done()
			if err := send(s, share, deadline, out); err != nil {
				out.fail(err)
			}
		}()
	}
	done := make(chan struct{})
	go func() {
		producers.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Until(deadline) + closing):
	}
}

// share is every step-th record.
func (records *source) share(first, step int) share {
	made := make(chan record)
	go func() {
		defer close(made)
		for at := first; at < records.count; at += step {
			made <- records.at(at)
		}
	}()
	return share{count: (records.count - first + step - 1) / step, records: made}
}

func (s *spec) timeout() time.Duration {
	return time.Duration(s.TimeoutMs) * time.Millisecond
}

// requestTimeout is what the broker is told to take at most.
func (s *spec) requestTimeout() time.Duration {
	if s.RequestTimeoutMs > 0 {
		return time.Duration(s.RequestTimeoutMs) * time.Millisecond
	}
	return s.timeout()
}

func (s *spec) pause() {
	time.Sleep(time.Duration(s.PauseMs) * time.Millisecond)
}

func (s *spec) tls() (*tls.Config, error) {
	pem, err := os.ReadFile(s.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", s.CA)
	}
	return &tls.Config{RootCAs: roots}, nil
}

func (s *spec) source() (*source, error) {
	if s.Numbers > 0 {
		return &source{count: s.Numbers, at: number}, nil
	}
	records, err := readRecords(s.Records)
	return &source{count: len(records), at: func(index int) record { return records[index] }}, err
}

func number(index int) record {
	return record{index: index, Value: strconv.AppendInt(nil, int64(index), 10), Timestamp: time.Now().UnixMilli()}
}

func readRecords(name string) ([]record, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := json.NewDecoder(bufio.NewReader(file))
	var records []record
	for lines.More() {
		r := record{index: len(records)}
		if err := lines.Decode(&r); err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// settle notes a record's outcome; nil is delivered.
func (out *report) settle(index int, err error) {
	out.lock.Lock()
	defer out.lock.Unlock()
	if err == nil {
		out.outcomes[index] = delivered
		return
	}
	out.outcomes[index] = failed
	out.add(failureOf(&index, err))
}

func (out *report) add(failure failure) {
	if len(out.errors) < errorsMax {
		out.errors = append(out.errors, failure)
	}
}

// fail notes an error that is no single record's.
func (out *report) fail(err error) {
	out.lock.Lock()
	defer out.lock.Unlock()
	out.general = append(out.general, failureOf(nil, err))
}

func (out *report) show() map[string]any {
	out.lock.Lock()
	defer out.lock.Unlock()
	count := 0
	for at, outcome := range out.outcomes {
		index := at
		switch outcome {
		case delivered:
			count++
		case unsettled:
			out.add(failure{Record: &index, Name: "NoAnswer", Text: "no outcome before the deadline"})
		}
	}
	errors := append(append([]failure{}, out.general...), out.errors...)
	return map[string]any{
		"delivered": count, "errors": errors, "library": libraryPath, "version": libraryVersion(),
	}
}

func failureOf(at *int, err error) failure {
	noted := failure{Record: at, Name: fmt.Sprintf("%T", err), Text: err.Error()}
	if code, known := codeOf(err); known {
		noted.Code = &code
	}
	return noted
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
