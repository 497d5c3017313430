package settings

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// Embedded is the log in the data folder.
const Embedded = "embedded"

// KafkaURL is a topic of Kafka: kafka://HOST:PORT[,HOST:PORT…]/TOPIC.
type KafkaURL struct {
	Brokers []string // to begin with
	Topic   string
}

const kafkaScheme = "kafka://"

// ParseKafka reads a topic's URL; what it says is wrong is of one line.
func ParseKafka(v string) (KafkaURL, error) {
	rest, ok := strings.CutPrefix(v, kafkaScheme)
	if !ok {
		return KafkaURL{}, errors.New("want embedded or kafka://HOST:PORT[,HOST:PORT]/TOPIC")
	}
	u, err := ParseBrokers(rest)
	if err == nil && u.Topic == "" {
		err = errors.New("no topic: want kafka://HOST:PORT[,HOST:PORT]/TOPIC")
	}
	return u, err
}

// ParseBrokers reads HOST:PORT[,HOST:PORT…][/TOPIC].
func ParseBrokers(v string) (KafkaURL, error) {
	if strings.Contains(v, "@") {
		return KafkaURL{}, errors.New("want no user in it; set kafka-sasl, kafka-user and kafka-password-file")
	}
	brokers, topic, named := strings.Cut(v, "/")
	u := KafkaURL{Brokers: strings.Split(brokers, ","), Topic: topic}
	for _, b := range u.Brokers {
		host, port, err := net.SplitHostPort(b)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil || host == "" {
			return KafkaURL{}, fmt.Errorf("broker %q: want HOST:PORT, such as 127.0.0.1:9092", b)
		}
	}
	if named {
		if err := checkTopic(topic); err != nil {
			return KafkaURL{}, err
		}
	}
	return u, nil
}

// checkTopic says what is wrong with the name of a topic, by Kafka's rules.
func checkTopic(v string) error {
	const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	if v == "" || len(v) > 249 || v == "." || v == ".." || strings.Trim(v, legal) != "" {
		return fmt.Errorf("%s: want 1 to 249 letters, digits, '.', '_' and '-'", Shown("topic", v))
	}
	return nil
}

// checkLog says what is wrong with where the log is.
func checkLog(v string) error {
	if v == Embedded {
		return nil
	}
	_, err := ParseKafka(v)
	return err
}

// InKafka tells whether the log is a topic of Kafka, and which.
func (s *Settings) InKafka() (KafkaURL, bool) {
	if s.Log == Embedded {
		return KafkaURL{}, false
	}
	u, err := ParseKafka(s.Log) // checked when it was set
	return u, err == nil
}

// forKafka tells whether a setting is of a log in Kafka alone.
func forKafka(name string) bool { return strings.HasPrefix(name, "kafka-") || name == "dead-letters" }

// CheckKafka says which settings do not go together with where the log is.
func (s *Settings) CheckKafka() error {
	if _, ok := s.InKafka(); ok {
		if at, ok := s.Given("log-retention"); ok && s.LogRetention != Default().LogRetention {
			return fmt.Errorf("%s: log-retention is of the embedded log; a topic that crest makes is kept for kafka-retention, others as their owner says", at)
		}
		_, own := s.Given("kafka-topic-partitions")
		if at, ok := s.Given("partitions"); ok && own && s.Partitions != s.KafkaPartitions {
			return fmt.Errorf("%s: partitions %d, but kafka-topic-partitions %d: give one of them", at, s.Partitions, s.KafkaPartitions)
		}
		return s.CheckKafkaAccess()
	}
	defaults := Default()
	for _, d := range Table {
		if at, ok := s.Given(d.Name); ok && forKafka(d.Name) && d.format(s) != d.format(&defaults) {
			return fmt.Errorf("%s: %s: the log is embedded; want log kafka://HOST:PORT/TOPIC with it", at, d.Name)
		}
	}
	return nil
}

// CheckKafkaAccess says which settings of a connection do not go together.
func (s *Settings) CheckKafkaAccess() error {
	switch {
	case (s.KafkaCert == "") != (s.KafkaKey == ""):
		return errors.New("kafka-cert and kafka-key: give both, or none")
	case s.KafkaSASL == "" && s.KafkaUser != "":
		return fmt.Errorf("kafka-user %s: want kafka-sasl with it: plain, scram-sha-256 or scram-sha-512", s.KafkaUser)
	case s.KafkaSASL == "" && s.KafkaPasswordFile != "":
		return errors.New("kafka-password-file: want kafka-sasl with it: plain, scram-sha-256 or scram-sha-512")
	case s.KafkaSASL != "" && s.KafkaUser == "":
		return fmt.Errorf("kafka-sasl %s: want kafka-user with it", s.KafkaSASL)
	case s.KafkaSASL != "" && s.KafkaPasswordFile == "" && s.password == "":
		return fmt.Errorf("kafka-sasl %s: want kafka-password-file with it, or the environment variable %s", s.KafkaSASL, PasswordVariable)
	case s.KafkaPasswordFile != "" && s.password != "":
		return fmt.Errorf("kafka-password-file and %s: give one of them", PasswordVariable)
	}
	return nil
}

// KafkaPassword is the password for kafka-sasl.
func (s *Settings) KafkaPassword() (string, error) {
	if s.KafkaPasswordFile == "" {
		return s.password, nil
	}
	content, err := os.ReadFile(s.KafkaPasswordFile)
	if err != nil {
		return "", fmt.Errorf("kafka-password-file: %w", err)
	}
	password := strings.TrimRight(string(content), "\r\n")
	if password == "" {
		return "", fmt.Errorf("kafka-password-file %s is empty", s.KafkaPasswordFile)
	}
	return password, nil
}

// KafkaTLS is how to speak to brokers by TLS; nil: without.
func (s *Settings) KafkaTLS() (*tls.Config, error) {
	if !s.KafkaTLSOn && s.KafkaCA == "" && s.KafkaCert == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.KafkaCA != "" {
		pem, err := os.ReadFile(s.KafkaCA)
		if err != nil {
			return nil, fmt.Errorf("kafka-ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("kafka-ca %s: want certificates in PEM", s.KafkaCA)
		}
	}
	if s.KafkaCert != "" {
		pair, err := tls.LoadX509KeyPair(s.KafkaCert, s.KafkaKey)
		if err != nil {
			return nil, fmt.Errorf("kafka-cert and kafka-key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
