module telegraf-agent

go 1.26.0

godebug x509negativeserial=1

require github.com/influxdata/telegraf v1.39.3
