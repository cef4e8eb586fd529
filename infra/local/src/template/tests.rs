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
  Authorizer:
    Type: AWS::ApiGatewayV2::Authorizer
    Properties: {JwtConfiguration: {Issuer: !Ref JwtIssuer, Audience: [moneta]}}
  PlaceOrderIntegration: {Type: "AWS::ApiGatewayV2::Integration", Properties: {IntegrationUri: !GetAtt PlaceOrder.Arn}}
  Post:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      {RouteKey: "post /orders/{id}", Target: !Sub "integrations/${PlaceOrderIntegration}",
       AuthorizationType: JWT, AuthorizerId: !Ref Authorizer, AuthorizationScopes: [orders]}
  Hook:
    Type: AWS::ApiGatewayV2::Route
    Properties: {RouteKey: POST /hook, Target: !Sub "integrations/${PlaceOrderIntegration}", AuthorizationType: NONE}
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
        ("SENTENCE", "local to us-east-1 ${Literal}"),
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
            Event::Http(route) => Some((
                route.method.as_str(),
                route.path.as_str(),
                route.authorized,
                route.scopes.as_slice(),
            )),
            _ => None,
        })
        .collect();
    let scopes = ["orders".to_owned()];
    assert_eq!(
        routes,
        [
            ("POST", "/orders/{id}", true, scopes.as_slice()),
            ("POST", "/hook", false, &[]),
        ]
    );
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
    assert_eq!(stream.records.maximum_retries, Some(4));
    assert_eq!(
        stream.records.failure_queue.as_deref(),
        Some("moneta-local-orders-dead.fifo")
    );
    assert!(stream.records.from_start && stream.records.bisect && !stream.records.partial_responses);
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
            "AuthorizationType: JWT",
            "AuthorizationType: AWS_IAM",
            "AuthorizationType: AWS_IAM isn't known",
        ),
        (
            "AuthorizerId: !Ref Authorizer,",
            "",
            "resource Post, property AuthorizerId: is missing",
        ),
        (
            "RouteKey: POST /hook",
            "RouteKey: $default",
            "$default isn't a method and a path",
        ),
        (
            "integrations/${PlaceOrderIntegration}\", AuthorizationType",
            "integrations/Other\", AuthorizationType",
            "integrations/Other is no integration of this stack",
        ),
    ];
    for (right, wrong, message) in wrong {
        let problem = Template::parse(&TEMPLATE.replace(right, wrong), &locals()).unwrap_err();
        let problem = format!("{problem:#}");
        assert!(problem.contains(message), "{wrong}: {problem}");
    }
}

#[test]
fn resources_are_kept_with_what_is_said_of_them() {
    let template = Template::parse(TEMPLATE, &locals()).unwrap();
    let resource = |id: &str| {
        template
            .resources
            .iter()
            .find(|resource| resource.id == id)
            .unwrap()
    };
    assert_eq!(
        resource("Role").properties["Anything"],
        "arn:aws:sqs:us-east-1:000000000000:moneta-local-orders.fifo"
    );
    assert_eq!(resource("PlaceOrder").properties["MemorySize"], 256);
    assert_eq!(resource("Orders").kind, "AWS::SQS::Queue");
    assert!(template.resources.iter().all(|resource| resource.id != "Big"));
}

const ROOT: &str = r#"
Parameters: {Stage: {Type: String}, Subnets: {Type: CommaDelimitedList, Default: "a,b"}}
Resources:
  Orders:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: areas/orders.yaml
      Parameters: {Stage: !Ref Stage, Subnets: !Join [",", !Ref Subnets]}
  Shipping:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: areas/shipping.yaml
      Parameters: {QueueUrl: !GetAtt Orders.Outputs.PaidUrl, QueueArn: !GetAtt [Orders, Outputs.PaidArn]}
Outputs:
  PaidArn: {Value: !Sub "${Orders.Outputs.PaidArn}"}
"#;

const ORDERS: &str = r#"
Metadata: {Moneta: {KafkaTopics: [{Name: orders.events}]}}
Parameters: {Stage: {Type: String}, Subnets: {Type: CommaDelimitedList}, Limit: {Type: Number, Default: 5}}
Globals: {Function: {Environment: {Variables: {STAGE: !Ref Stage}}}}
Resources:
  Paid: {Type: "AWS::SQS::Queue", Properties: {QueueName: !Sub "moneta-${Stage}-paid"}}
  PlaceOrder:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: place_order/
      Environment: {Variables: {SUBNETS: !Join ["+", !Ref Subnets], LIMIT: !Ref Limit}}
Outputs:
  PaidUrl: {Value: !Ref Paid}
  PaidArn: {Value: !GetAtt Paid.Arn}
"#;

const SHIPPING: &str = r#"
Parameters: {QueueUrl: {Type: String}, QueueArn: {Type: String}}
Resources:
  Ship:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ship/
      Environment: {Variables: {QUEUE_URL: !Ref QueueUrl}}
      Events: {Queue: {Type: SQS, Properties: {Queue: !Ref QueueArn}}}
"#;

/// The template of these three files, or why it can't be read.
fn nested(root: &str, orders: &str, shipping: &str) -> Result<Template, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("areas")).unwrap();
    let files = [
        ("template.yaml", root),
        ("areas/orders.yaml", orders),
        ("areas/shipping.yaml", shipping),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    Template::load(&folder.path().join("template.yaml"), &locals()).map_err(|problem| format!("{problem:#}"))
}

#[test]
fn nested_stacks_are_read_with_their_parameters_and_outputs() {
    let template = nested(ROOT, ORDERS, SHIPPING).unwrap();
    let order = template.function("place_order").unwrap();
    let variable = |name: &str| order.environment.get(name).map(String::as_str);
    assert_eq!(
        (variable("SUBNETS"), variable("LIMIT"), variable("STAGE")),
        (Some("a+b"), Some("5"), Some("local"))
    );
    let ship = template.function("ship").unwrap();
    assert_eq!(
        ship.environment,
        BTreeMap::from([(
            "QUEUE_URL".to_owned(),
            "http://queue.invalid/moneta-local-paid".to_owned()
        )])
    );
    assert!(matches!(ship.events.as_slice(), [Event::Queue(queue)] if queue.queue == "moneta-local-paid"));
    assert_eq!(template.topics.len(), 1);
    let stacks: BTreeSet<&str> = template
        .resources
        .iter()
        .map(|resource| resource.stack.as_str())
        .collect();
    assert_eq!(stacks, BTreeSet::from(["", "Orders", "Shipping"]));
}

#[test]
fn an_error_in_a_nested_stack_names_its_file() {
    let wrong = [
        (
            ROOT.replace("Stage: !Ref Stage, ", ""),
            "it isn't given its parameter Stage",
        ),
        (
            ROOT.replace("Stage: !Ref Stage,", "Stage: !Ref Stage, Other: 1,"),
            "it has no parameter Other, which it is given",
        ),
        (
            ROOT.replace("areas/orders.yaml", "areas/other.yaml"),
            "it can't be read",
        ),
    ];
    for (root, message) in wrong {
        let problem = nested(&root, ORDERS, SHIPPING).unwrap_err();
        assert!(
            problem.contains(message) && problem.contains("stack Orders, "),
            "{problem}"
        );
    }
    let problem = nested(&ROOT.replace("Outputs.PaidUrl", "Outputs.Url"), ORDERS, SHIPPING).unwrap_err();
    assert!(problem.contains("Orders has no output Url"), "{problem}");
    let later = ROOT.replace(
        "Resources:\n  Orders:",
        "Resources:\n  Early: {Type: T, Properties: {Url: !GetAtt Orders.Outputs.PaidUrl}}\n  Orders:",
    );
    let problem = nested(&later, ORDERS, SHIPPING).unwrap_err();
    assert!(problem.contains("Orders must stand before this"), "{problem}");
}

const LOOPS: &str = r#"
Resources:
  Fn::ForEach::Queues:
    - Queue
    - [Orders, in-voices]
    - "&{Queue}Queue": {Type: "AWS::SQS::Queue", Properties: {QueueName: !Sub "moneta-${Stage}-${Queue}"}}
      "&{Queue}Late":
        Type: AWS::CloudWatch::Alarm
        Properties:
          Description: !Ref Queue
          Long: {Ref: Queue}
          Dimensions: [{Name: QueueName, Value: !GetAtt [!Sub "&{Queue}Queue", QueueName]}]
          Fn::ForEach::Inner: [Side, [Left, Right], {"${Side}Of${Queue}": !Sub "${Side}"}]
Parameters: {Stage: {Type: String}}
"#;

#[test]
fn loops_are_written_out() {
    let template = Template::parse(LOOPS, &locals()).unwrap();
    let queues: Vec<&str> = template.queues.iter().map(|queue| queue.name.as_str()).collect();
    assert_eq!(queues, ["moneta-local-Orders", "moneta-local-in-voices"]);
    let alarm = template
        .resources
        .iter()
        .find(|resource| resource.id == "invoicesLate")
        .unwrap();
    let expected = serde_json::json!({
        "Description": "in-voices",
        "Long": "in-voices",
        "Dimensions": [{"Name": "QueueName", "Value": "moneta-local-in-voices"}],
        "LeftOfin-voices": "Left",
        "RightOfin-voices": "Right",
    });
    assert_eq!(alarm.properties, expected);
}

#[test]
fn a_loop_that_is_wrong_is_named() {
    let wrong = [
        ("[Orders, in-voices]", "Orders", "loop Queues: Fn::ForEach takes"),
        (
            "[Orders, in-voices]",
            "[Orders, Orders-]",
            "loop Queues: OrdersQueue stands twice",
        ),
    ];
    for (right, wrong, message) in wrong {
        let problem = Template::parse(&LOOPS.replace(right, wrong), &locals()).unwrap_err();
        let problem = format!("{problem:#}");
        assert!(problem.contains(message), "{wrong}: {problem}");
    }
}
