//! Apache Kafka: one broker for all tests that leave it alone, each with a topic of its own, and some for those that do not, which
//! take turns.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{
    ApiKey, CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest,
    CreateTopicsResponse, FetchRequest, FetchResponse, InitProducerIdRequest,
    InitProducerIdResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{NO_TIMESTAMP, Record, RecordBatchDecoder};

use super::{Key, Target, Wants};
use crate::broker::{self, Broker};
use crate::client::Client;
use crate::records::{Place, Stored};
use crate::relay::Beyond;

const USER: &str = "test-project-1";
const PASSWORD: &str = "dev-access-key-id#dev-access-key-secret";
const READER: &str = "reader";
const PARTITIONS: i32 = 2;
const FETCH_BYTES_MAX: i32 = 16 << 20;
const READY_MAX: Duration = Duration::from_secs(30);

static TOPICS: AtomicUsize = AtomicUsize::new(0);
static SHARED: LazyLock<Broker> = LazyLock::new(|| start(None));
/// Starting one again takes long, and tests wait for each other meanwhile.
static DISTURBED: [LazyLock<Disturbed>; 3] = [const { LazyLock::new(Disturbed::start) }; 3];

/// A broker for one test at a time.
struct Disturbed {
    broker: Mutex<Broker>,
    /// What its second listener advertises.
    port: u16,
}

pub struct Kafka {
    hold: Hold,
    topic: String,
}

enum Hold {
    Shared(&'static Broker),
    Alone(MutexGuard<'static, Broker>, u16),
}

impl Disturbed {
    fn start() -> Self {
        let port = broker::free_port();
        Self {
            broker: Mutex::new(start(Some(port))),
            port,
        }
    }
}

fn start(advertised_port: Option<u16>) -> Broker {
    // Only the one user may do anything; the node itself comes without a name.
    let lines = format!(
        "message.max.bytes=16777216
auto.create.topics.enable=false
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{USER};User:ANONYMOUS
"
    );
    let settings = broker::Settings {
        user: USER,
        password: PASSWORD,
        users: &[(READER, PASSWORD)],
        advertised_port,
        lines: &lines,
    };
    Broker::start("interop", &settings).expect("whoever asks knows that it is installed")
}

impl Kafka {
    pub fn start(wants: Wants) -> Self {
        let number = TOPICS.fetch_add(1, Ordering::Relaxed);
        let hold = if wants.restarts || wants.relayed {
            let Disturbed { broker, port } = &*DISTURBED[number % DISTURBED.len()];
            // A test that failed has left a broker that runs, or that is started again here.
            let mut broker = broker.lock().unwrap_or_else(PoisonError::into_inner);
            broker.start_again_if_ended();
            Hold::Alone(broker, *port)
        } else {
            Hold::Shared(&SHARED)
        };
        let kafka = Self {
            hold,
            topic: format!("topic-{number}"),
        };
        kafka.wait_until_it_gives_ids();
        if wants.topic_exists {
            kafka.create_topic(wants.batch_bytes_max);
        }
        kafka
    }

    /// After its start it listens for some moments before idempotent producers can begin.
    fn wait_until_it_gives_ids(&self) {
        let deadline = Instant::now() + READY_MAX;
        let request = InitProducerIdRequest::default().with_transactional_id(None);
        let mut client = self.client();
        loop {
            client.send(ApiKey::InitProducerId, 1, &request);
            let answer: InitProducerIdResponse = client
                .receive(ApiKey::InitProducerId, 1)
                .expect("an answer");
            if answer.error_code == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{answer:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn hold(&self) -> &Broker {
        match &self.hold {
            Hold::Shared(broker) => broker,
            Hold::Alone(broker, _) => broker,
        }
    }

    /// To be ended and started again.
    pub fn broker(&mut self) -> &mut Broker {
        match &mut self.hold {
            Hold::Alone(broker, _) => broker,
            Hold::Shared(_) => panic!("the test did not want a broker that restarts"),
        }
    }

    /// The port that clients of the relay are told to come back to.
    pub fn advertised_port(&self) -> u16 {
        match self.hold {
            Hold::Alone(_, port) => port,
            Hold::Shared(_) => panic!("the test did not want a relay"),
        }
    }

    pub fn target(&self, key: Key) -> Target {
        let (user, password) = match key {
            Key::Good => (USER, PASSWORD.to_owned()),
            Key::Wrong => (USER, format!("{PASSWORD}-wrong")),
            Key::Strange => (USER, "other-id#other-secret".to_owned()),
            Key::Reader => (READER, PASSWORD.to_owned()),
        };
        Target {
            bootstrap: format!("localhost:{}", self.hold().address.port()),
            user: user.to_owned(),
            password,
            ca: self.hold().ca(),
            topic: self.topic.clone(),
        }
    }

    /// For a relay before it.
    pub fn beyond(&self) -> Beyond {
        let identity = self.hold().identity();
        Beyond {
            address: self.hold().relayed_address,
            chain: identity.clone(),
            key: identity,
            ca: self.hold().ca(),
        }
    }

    fn client(&self) -> Client {
        let broker = self.hold();
        let mut client = Client::dial(broker.address, &broker.certificate, "localhost");
        client.log_in(USER, PASSWORD).expect("a good key");
        client
    }

    /// What is stored without compression needs no codec of ours to be read.
    fn create_topic(&self, batch_bytes_max: Option<usize>) {
        let mut configs = vec![config("compression.type", "uncompressed".to_owned())];
        configs.extend(batch_bytes_max.map(|max| config("max.message.bytes", max.to_string())));
        let topic = CreatableTopic::default()
            .with_name(name(&self.topic))
            .with_num_partitions(PARTITIONS)
            .with_replication_factor(1)
            .with_configs(configs);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000);
        let mut client = self.client();
        client.send(ApiKey::CreateTopics, 5, &request);
        let answer: CreateTopicsResponse =
            client.receive(ApiKey::CreateTopics, 5).expect("an answer");
        assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
    }

    pub fn add_partitions(&self) {
        let topic = CreatePartitionsTopic::default()
            .with_name(name(&self.topic))
            .with_count(2 * PARTITIONS)
            .with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000);
        let mut client = self.client();
        client.send(ApiKey::CreatePartitions, 1, &request);
        let answer: CreatePartitionsResponse = client
            .receive(ApiKey::CreatePartitions, 1)
            .expect("an answer");
        assert_eq!(answer.results[0].error_code, 0, "{answer:?}");
    }

    pub fn stored(&self) -> Vec<Stored> {
        let mut stored = Vec::new();
        self.each_record(|partition, record| stored.push(stored_of(partition, record)));
        stored
    }

    pub fn each_value(&self, mut each: impl FnMut(&[u8])) {
        self.each_record(|_, record| each(&record.value.unwrap_or_default()));
    }

    /// Gives all records of the topic, each with its partition.
    fn each_record(&self, mut each: impl FnMut(u32, Record)) {
        let mut client = self.client();
        // Without the topic there are no partitions.
        let (_, count) = client.metadata(&self.topic, false);
        for partition in 0..u32::try_from(count).expect("few") {
            self.read_partition(&mut client, partition as i32, |record| {
                each(partition, record);
            });
        }
    }

    fn read_partition(&self, client: &mut Client, partition: i32, mut each: impl FnMut(Record)) {
        let mut next = 0;
        loop {
            let data = self.fetch_when_led(client, partition, next);
            if next >= data.high_watermark {
                return;
            }
            let mut records = data.records.unwrap_or_default();
            let sets = RecordBatchDecoder::decode_all(&mut records).expect("sound records");
            for record in sets.into_iter().flat_map(|set| set.records) {
                // The first batch may begin before.
                if record.offset >= next {
                    next = record.offset + 1;
                    each(record);
                }
            }
        }
    }

    /// For some moments after its start the broker leads no partition.
    fn fetch_when_led(&self, client: &mut Client, partition: i32, offset: i64) -> PartitionData {
        let deadline = Instant::now() + READY_MAX;
        loop {
            let data = self.fetch(client, partition, offset);
            if data.error_code == 0 {
                return data;
            }
            assert!(Instant::now() < deadline, "{data:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn fetch(&self, client: &mut Client, partition: i32, offset: i64) -> PartitionData {
        const VERSION: i16 = 11;
        let from = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(FETCH_BYTES_MAX);
        let topic = FetchTopic::default()
            .with_topic(name(&self.topic))
            .with_partitions(vec![from]);
        let request = FetchRequest::default()
            .with_max_wait_ms(0)
            .with_min_bytes(0)
            .with_max_bytes(FETCH_BYTES_MAX)
            .with_topics(vec![topic]);
        client.send(ApiKey::Fetch, VERSION, &request);
        let mut answer: FetchResponse = client.receive(ApiKey::Fetch, VERSION).expect("an answer");
        answer.responses.remove(0).partitions.remove(0)
    }
}

fn stored_of(partition: u32, record: Record) -> Stored {
    let headers = record.headers.into_iter();
    Stored {
        key: record.key.map(|key| key.to_vec()),
        content: record.value.unwrap_or_default().to_vec(),
        headers: Some(
            headers
                .map(|(name, value)| (name.to_string(), value.unwrap_or_default().to_vec()))
                .collect(),
        ),
        time_ms: (record.timestamp != NO_TIMESTAMP).then_some(record.timestamp),
        place: Place {
            shard: partition,
            at: record.offset as u64,
        },
    }
}

fn name(topic: &str) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_owned()))
}

fn config(name: &'static str, value: String) -> CreatableTopicConfig {
    CreatableTopicConfig::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(Some(StrBytes::from_string(value)))
}
