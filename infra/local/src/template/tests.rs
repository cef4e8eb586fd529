use super::*;

const TEMPLATE: &str = r#"
Metadata: {Moneta: {KafkaTopics: [{Name: trading.events, Partitions: 3}]}}
Parameters:
  Stage: {Type: String}
  Limit: {Type: Number, Default: 500}
  Subnets: {Type: CommaDelimitedList, Default: "a, b"}
  JwtIssuer: {Type: String}
Conditions:
  IsLocal: !Equals [!Ref Stage, local]
  IsBig: !Not [!Condition IsLocal]
Globals:
  Function: {Timeout: 10, MemorySize: 256, Environment: {Variables: {STAGE: !Ref Stage}}}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Jwt
        Authorizers: {Jwt: {JwtConfiguration: {issuer: !Ref JwtIssuer, audience: [moneta]}}}
  Orders:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub moneta-${Stage}-orders.fifo
      FifoQueue: true
      RedrivePolicy: {deadLetterTargetArn: !GetAtt OrdersDead.Arn, maxReceiveCount: 3}
  OrdersDead:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Sub "moneta-${Stage}-orders-dead.fifo", FifoQueue: true}
  Notes:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub moneta-${Stage}-notes
      KeySchema: [{AttributeName: pk, KeyType: HASH}, {AttributeName: sk, KeyType: RANGE}]
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
      TimeToLiveSpecification: {Enabled: true, AttributeName: expires_at}
  Big: {Type: "AWS::SQS::Queue", Condition: IsBig}
  Role: {Type: "AWS::IAM::Role", Properties: {Anything: !GetAtt Orders.Arn}}
  PlaceOrder:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../target/lambda/place_order/
      Timeout: 29
      Environment:
        Variables:
          LIMIT: !Ref Limit
          QUEUE_URL: !Ref Orders
          SUBNETS: !Join ["+", !Ref Subnets]
          TABLE: {Ref: Notes}
          SIZE: !If [IsLocal, small, big]
          NOTHING: !If [IsBig, something, !Ref "AWS::NoValue"]
          SENTENCE: !Sub ["${Word} to ${AWS::Region} ${!Literal}", {Word: !Ref Stage}]
      Events:
        Post: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: post, Path: "/orders/{id}"}}
        Hook: {Type: HttpApi, Properties: {Method: POST, Path: /hook, Auth: {Authorizer: NONE}}}
        Queue:
          Type: SQS
          Properties: {Queue: !GetAtt Orders.Arn, BatchSize: 5, FunctionResponseTypes: [ReportBatchItemFailures]}
        Changes:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Notes.StreamArn
            StartingPosition: TRIM_HORIZON
            BisectBatchOnFunctionError: true
            MaximumRetryAttempts: 4
            DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt OrdersDead.Arn}}
            FilterCriteria: {Filters: [{Pattern: '{"eventName":["INSERT"]}'}]}
        Daily:
          Type: ScheduleV2
          Properties:
            ScheduleExpression: cron(0 18 * * ? *)
            ScheduleExpressionTimezone: America/New_York
            Input: '{"scope":"all"}'
"#;

fn locals() -> Locals {
    let mut locals = Locals::default();
    locals
        .parameters
        .insert("JwtIssuer".to_owned(), "https://issuer.test".to_owned());
    locals.queue_urls.insert(
        "moneta-local-orders.fifo".to_owned(),
        "http://sqs.test/orders".to_owned(),
    );
    locals
}

#[test]
fn reads_a_function_with_its_environment() {
    let template = Template::parse(TEMPLATE, &locals()).unwrap();
    let function = template.function("place_order").unwrap();
    assert_eq!(function.logical_id, "PlaceOrder");
    assert_eq!(
        (function.timeout, function.memory_mb),
        (Duration::from_secs(29), 256)
    );
    let expected = [
        ("LIMIT", "500"),
        ("QUEUE_URL", "http://sqs.test/orders"),
        ("SENTENCE", "local to eu-west-1 ${Literal}"),
        ("SIZE", "small"),
        ("STAGE", "local"),
        ("SUBNETS", "a+b"),
        ("TABLE", "moneta-local-notes"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(function.environment, BTreeMap::from(expected));
}

#[test]
fn reads_what_calls_a_function() {
    let template = Template::parse(TEMPLATE, &locals()).unwrap();
    let events = &template.function("place_order").unwrap().events;
    let routes: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Http(route) => Some((route.method.as_str(), route.path.as_str(), route.authorized)),
            _ => None,
        })
        .collect();
    assert_eq!(routes, [("POST", "/hook", false), ("POST", "/orders/{id}", true)]);
    let Some(Event::Queue(queue)) = events.iter().find(|event| matches!(event, Event::Queue(_))) else {
        panic!("no queue in {events:?}");
    };
    assert_eq!(
        (queue.queue.as_str(), queue.batch_size),
        ("moneta-local-orders.fifo", 5)
    );
    assert!(queue.partial_responses && queue.enabled);
    let Some(Event::Stream(stream)) = events.iter().find(|event| matches!(event, Event::Stream(_))) else {
        panic!("no stream in {events:?}");
    };
    assert_eq!(stream.table, "moneta-local-notes");
    assert_eq!(stream.maximum_retries, Some(4));
    assert_eq!(
        stream.failure_queue.as_deref(),
        Some("moneta-local-orders-dead.fifo")
    );
    assert!(stream.from_start && stream.bisect && !stream.partial_responses);
    let Some(Event::Schedule(schedule)) = events.iter().find(|event| matches!(event, Event::Schedule(_)))
    else {
        panic!("no schedule in {events:?}");
    };
    assert_eq!(schedule.timezone, "America/New_York");
    assert_eq!(schedule.input, Some(serde_json::json!({"scope": "all"})));
}

#[test]
fn reads_queues_tables_topics_and_the_authorizer() {
    let template = Template::parse(TEMPLATE, &locals()).unwrap();
    let names: Vec<_> = template.queues.iter().map(|queue| queue.name.as_str()).collect();
    assert_eq!(
        names,
        ["moneta-local-orders.fifo", "moneta-local-orders-dead.fifo"]
    );
    let dead = template.queues.first().unwrap().dead_letter.clone().unwrap();
    assert_eq!(
        (dead.queue.as_str(), dead.max_receive_count),
        ("moneta-local-orders-dead.fifo", 3)
    );
    let table = template.tables.first().unwrap();
    assert_eq!(
        (table.partition_key.as_str(), table.sort_key.as_deref()),
        ("pk", Some("sk"))
    );
    assert_eq!(table.ttl_attribute.as_deref(), Some("expires_at"));
    assert_eq!(
        template.topics,
        [TopicSpec {
            name: "trading.events".to_owned(),
            partitions: 3
        }]
    );
    let authorizer = template.authorizer.unwrap();
    assert_eq!(
        (authorizer.issuer.as_str(), authorizer.audience),
        ("https://issuer.test", vec!["moneta".to_owned()])
    );
}

#[test]
fn an_error_names_the_resource_and_the_property() {
    let wrong = [
        (
            "Timeout: 29",
            "Timeout: soon",
            "resource PlaceOrder, property Timeout: soon",
        ),
        (
            "BatchSize: 5",
            "BatchSize: many",
            "BatchSize: many isn't a number",
        ),
        (
            "ReportBatchItemFailures",
            "ReportBatchItemFailure",
            "FunctionResponseTypes: ReportBatchItemFailure",
        ),
        ("cron(0 18 * * ? *)", "cron(0 25 * * ? *)", "ScheduleExpression"),
        (
            "!Ref Limit",
            "!Ref Limits",
            "Limits is neither a parameter nor a resource",
        ),
        (
            "DefaultAuthorizer: Jwt",
            "DefaultAuthorizer: Other",
            "the authorizer Other",
        ),
    ];
    for (right, wrong, message) in wrong {
        let problem = Template::parse(&TEMPLATE.replace(right, wrong), &locals()).unwrap_err();
        let problem = format!("{problem:#}");
        assert!(problem.contains(message), "{wrong}: {problem}");
    }
}
