// Telegraf's agent with the two plugins that agent.conf uses. Its own program has no build tags and would need all of
// them. Argument: the configuration file.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/influxdata/telegraf/agent"
	"github.com/influxdata/telegraf/config"
	"github.com/influxdata/telegraf/logger"
	_ "github.com/influxdata/telegraf/plugins/inputs/tail"
	_ "github.com/influxdata/telegraf/plugins/outputs/kafka"
)

func main() {
	logger.SetupLogging(logger.LogConfig{})
	until, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if err := run(until, os.Args[1]); err != nil && until.Err() == nil {
		log.Fatalf("E! [telegraf] %v", err)
	}
}

func run(until context.Context, file string) error {
	settings := config.NewConfig()
	if err := settings.LoadConfig(file); err != nil {
		return err
	}
	telegraf, err := agent.NewAgent(settings)
	if err != nil {
		return err
	}
	return telegraf.Run(until)
}
