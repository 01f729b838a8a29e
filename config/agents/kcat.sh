# One log a line from standard input; -L instead of -P -t TOPIC lists the Logstores.
echo "hello from kcat" | kcat -b {{bootstrap}} \
  -X security.protocol=sasl_ssl -X sasl.mechanisms=PLAIN \
  -X sasl.username={{project}} -X 'sasl.password={{password}}' \
  -X ssl.ca.location={{ca}} \
  -P -t {{topic}}
