package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/crestdb/crest/cmd/crest/doctor"
	"github.com/crestdb/crest/cmd/crest/screen"
	"github.com/crestdb/crest/cmd/crest/settings"
)

func newDoctor(w world) *cobra.Command {
	d := &diagnosis{world: w, output: output{world: w}}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look at a topic of Kafka: will it do as the log, and what does it cost",
		Long: `Look at a topic of Kafka as crest serve would use it as its log, and say what is
good, what costs something, and what is wrong: whether it is what the snapshots
are of, who stamps arrivals, whether producers key by topic, what is in the
newest records and which of them would be refused, how long and in how many
copies they are kept. Nothing is changed, and a node may be running.

The settings are those of crest serve, from the same file and environment.
Exits with 1 if anything is wrong.`,
		Example: `  crest doctor --log kafka://127.0.0.1:9092/events
  crest doctor --config crest.yaml -o json`,
		Args: noArgs,
	}
	addSettingsOf(c.Flags(), diagnosedWith)
	c.Flags().StringVar(&d.file, "config", "", "read settings from this YAML `FILE` (env "+settings.ConfigVariable+")")
	c.Flags().IntVar(&d.records, "sample", 200, "look at the newest `N` records of each partition")
	d.output.addFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if !c.Flags().Changed("config") {
			d.file = w.getenv(settings.ConfigVariable)
		}
		return d.run(c.Context(), givenSettings(c.Flags()))
	}
	return c
}

// diagnosedWith are the settings that matter to a topic.
func diagnosedWith(name string) bool {
	switch name {
	case "data", "store", "s3-endpoint", "s3-region", "snapshot-every", "log", "max-ahead", "dead-letters",
		"kafka-topic-partitions", "kafka-replication", "kafka-retention", "kafka-no-create", "kafka-keyed", "kafka-format":
		return true
	}
	return reachedWith(name)
}

// diagnosis is one crest doctor.
type diagnosis struct {
	world
	output
	file    string
	records int
}

// doctorTimeout bounds all that the brokers are asked.
const doctorTimeout = time.Minute

func (d *diagnosis) run(ctx context.Context, flags map[string]string) error {
	if err := d.output.check(); err != nil {
		return err
	}
	if d.records < 0 || d.records > 1_000_000 {
		return usage("--sample %d: want 0 to 1000000", d.records)
	}
	s, err := settings.Load(settings.Sources{File: d.file, Environ: d.world.environ, Flags: flags})
	if err == nil {
		err = s.CheckKafka()
	}
	if err != nil {
		return &usageError{err: err}
	}
	url, ok := s.InKafka()
	if !ok {
		return usage("doctor looks at a topic of Kafka: give --log kafka://HOST:PORT/TOPIC (crest log verify looks at the embedded log, crest snapshot verify at snapshots)")
	}
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	facts, err := gather(ctx, d.world, s, url, d.records)
	if err != nil {
		return err
	}
	findings := doctor.Examine(facts)
	if err := d.print(diagnosisAnswer(url, findings)); err != nil {
		return err
	}
	if doctor.Worst(findings) == doctor.Wrong {
		return errors.New("something is wrong with the topic: do what is said above")
	}
	return nil
}

func diagnosisAnswer(url settings.KafkaURL, findings []doctor.Finding) answer {
	return answer{
		value: struct {
			Topic    string           `json:"topic"`
			Worst    doctor.Level     `json:"worst"`
			Findings []doctor.Finding `json:"findings"`
		}{url.Topic, doctor.Worst(findings), findings},
		lines: func(_ int, color bool) []string {
			var lines []string
			for _, f := range findings {
				style := screen.Plain
				if f.Level == doctor.Wrong {
					style = screen.Red
				}
				lines = append(lines, style.Paint(fmt.Sprintf("%-8s%-12s%s", f.Level, f.About, screen.Clean(f.What)), color))
				if f.Costs != "" {
					lines = append(lines, fmt.Sprintf("%20scosts: %s", "", screen.Clean(f.Costs)))
				}
				if f.Do != "" {
					lines = append(lines, fmt.Sprintf("%20sdo: %s", "", screen.Clean(f.Do)))
				}
			}
			return lines
		},
		rows: func(write func(...string)) {
			write("level", "about", "what", "costs", "do")
			for _, f := range findings {
				write(string(f.Level), f.About, f.What, f.Costs, f.Do)
			}
		},
	}
}
