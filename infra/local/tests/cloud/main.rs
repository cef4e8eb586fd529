//! The local cloud from outside, with a template and a function of the test's own.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test all of these are failures"
)]

mod function;
mod own_routes;

use std::{path::Path, sync::Arc, time::Duration};

use local_cloud::{LocalCloud, Options, TokenOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

const TEMPLATE: &str = r#"
Parameters: {Stage: {Type: String}, JwtIssuer: {Type: String}, JwtAudience: {Type: String}}
Resources:
  Authorizer:
    Type: AWS::ApiGatewayV2::Authorizer
    Properties: {JwtConfiguration: {Issuer: !Ref JwtIssuer, Audience: [!Ref JwtAudience]}}
  Hello:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      {RouteKey: "POST /hello/{name}", Target: integrations/TinyIntegration,
       AuthorizationType: JWT, AuthorizerId: !Ref Authorizer}
  Scoped:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      {RouteKey: GET /scoped, Target: integrations/TinyIntegration,
       AuthorizationType: JWT, AuthorizerId: !Ref Authorizer, AuthorizationScopes: [wallets]}
  Open: {Type: "AWS::ApiGatewayV2::Route", Properties: {RouteKey: GET /open, Target: integrations/TinyIntegration}}
  Alone: {Type: "AWS::ApiGatewayV2::Route", Properties: {RouteKey: "POST /single/{name}", Target: integrations/SingleIntegration}}
  TinyIntegration: {Type: "AWS::ApiGatewayV2::Integration", Properties: {IntegrationUri: !GetAtt Tiny.Arn}}
  SingleIntegration: {Type: "AWS::ApiGatewayV2::Integration", Properties: {IntegrationUri: !GetAtt Single.Arn}}
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub moneta-${Stage}-jobs
      # Longer than any wait of these tests, so that a message which nobody works on is missed.
      VisibilityTimeout: 120
      RedrivePolicy: {deadLetterTargetArn: !GetAtt JobsDead.Arn, maxReceiveCount: 2}
  JobsDead: {Type: "AWS::SQS::Queue", Properties: {QueueName: !Sub "moneta-${Stage}-jobs-dead"}}
  StreamDead: {Type: "AWS::SQS::Queue", Properties: {QueueName: !Sub "moneta-${Stage}-stream-failures"}}
  Items:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub moneta-${Stage}-items
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
  Tiny:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../target/lambda/tiny/
      Timeout: 2
      Environment: {Variables: {QUEUE: !Ref Jobs, DATABASE_HOST: proxy, PLAID_SECRET_ARN: arn}}
      Events:
        Daily: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day), Input: '{"scope":"all"}'}}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../target/lambda/worker/
      Timeout: 10
      Events:
        Jobs: {Type: SQS, Properties: {Queue: !GetAtt Jobs.Arn, FunctionResponseTypes: [ReportBatchItemFailures]}}
  Single:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../target/lambda/single/
      Timeout: 10
      ReservedConcurrentExecutions: 1
  Follower:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../target/lambda/follower/
      Timeout: 10
      Events:
        Items:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Items.StreamArn
            StartingPosition: TRIM_HORIZON
            MaximumRetryAttempts: 1
            DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt StreamDead.Arn}}
"#;

/// A local cloud with the folder that its template and binaries are in.
struct Fixture {
    cloud: LocalCloud,
    folder: TempDir,
}

async fn start(change: impl FnOnce(&mut Options)) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("template.yaml"), TEMPLATE).unwrap();
    for name in ["tiny", "worker", "single", "follower"] {
        function::install(&folder.path().join(name));
    }
    let mut options = Options::for_tests(folder.path());
    options.template = folder.path().join("template.yaml");
    options.binaries = folder.path().to_owned();
    options.redelivery_after = Some(Duration::ZERO);
    change(&mut options);
    Fixture {
        cloud: LocalCloud::start(options).await.unwrap(),
        folder,
    }
}

async fn send(cloud: &LocalCloud, body: &str) {
    let url = cloud.queue_url("jobs").unwrap();
    cloud
        .sqs()
        .send_message()
        .queue_url(url)
        .message_body(body)
        .send()
        .await
        .unwrap();
}

/// Waits until a queue holds this many messages, none of them in flight.
async fn wait_for_messages(cloud: &LocalCloud, queue: &str, count: u64) {
    let http = client();
    let name = format!("moneta-local-{queue}");
    for _ in 0..2000 {
        let queues: Value = http
            .get(format!("{}/local/queues", cloud.url()))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let status = queues["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|queue| queue["name"] == name.as_str())
            .unwrap();
        if status["waiting"] == count && status["in_flight"] == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{queue} never held {count} messages; {:#?}", cloud.logs("worker"));
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_reused_and_more_are_started_for_concurrent_calls() {
    let Fixture { cloud, folder } = start(|options| options.max_instances = 2).await;
    let first = cloud.invoke("tiny", json!({ "hello": 1 })).await.unwrap();
    assert_eq!(
        (first.payload, first.cold, first.function_error),
        (json!({ "hello": 1 }), true, None)
    );
    assert!(first.memory_kib.unwrap() > 0);
    assert!(!cloud.invoke("tiny", json!({})).await.unwrap().cold);

    let meeting = folder.path().join("meeting");
    std::fs::create_dir(&meeting).unwrap();
    let event = json!({ "action": "meet", "folder": meeting, "count": 2 });
    let calls = (0..2).map(|_| cloud.invoke("tiny", event.clone()));
    let results = futures::future::join_all(calls).await;
    let processes: Vec<Value> = results
        .into_iter()
        .map(|result| result.unwrap().payload)
        .collect();
    assert_ne!(processes[0], processes[1]);

    // More calls than processes: they wait, and all are served.
    let calls = (0..6).map(|number| cloud.invoke("tiny", json!(number)));
    let results = futures::future::join_all(calls).await;
    assert!(
        results
            .into_iter()
            .all(|result| result.unwrap().function_error.is_none())
    );
    assert_eq!(cloud.kill("tiny").await.unwrap(), 2);
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_whose_reserved_concurrency_is_used_up_throttles_the_gateway() {
    let Fixture { cloud, folder } = start(|_| {}).await;
    let cloud = Arc::new(cloud);
    let meeting = folder.path().join("meeting");
    std::fs::create_dir(&meeting).unwrap();
    let event = json!({ "action": "meet", "folder": meeting, "count": 2 });
    let busy = tokio::spawn({
        let cloud = Arc::clone(&cloud);
        async move { cloud.invoke("single", event).await.unwrap() }
    });
    let arrived = || std::fs::read_dir(&meeting).unwrap().count() == 1;
    tokio::time::timeout(Duration::from_secs(60), async {
        while !arrived() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    let call = async || {
        let request = client().post(format!("{}/single/x", cloud.url()));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(call().await, 503);
    std::fs::write(meeting.join("another"), "").unwrap();
    assert!(busy.await.unwrap().function_error.is_none());
    assert_eq!(call().await, 200);
    Arc::into_inner(cloud).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_hangs_dies_or_is_killed_fails_its_call_and_the_next_one_starts_anew() {
    let Fixture {
        cloud,
        folder: _folder,
    } = start(|_| {}).await;
    let cloud = Arc::new(cloud);
    let hung = cloud.invoke("tiny", json!({ "action": "hang" })).await.unwrap();
    assert!(
        hung.function_error
            .unwrap()
            .contains("timed out after 2.00 seconds")
    );
    assert_eq!(hung.payload["errorType"], "Sandbox.Timedout");
    let crashed = cloud.invoke("tiny", json!({ "action": "exit" })).await.unwrap();
    assert!(crashed.cold && crashed.function_error.unwrap().contains("exit status: 3"));
    let failed = cloud.invoke("tiny", json!({ "action": "fail" })).await.unwrap();
    assert!(failed.cold && failed.function_error.unwrap().contains("as asked"));
    assert!(!cloud.invoke("tiny", json!({})).await.unwrap().cold);

    let meeting = tempfile::tempdir().unwrap();
    let event = json!({ "action": "meet", "folder": meeting.path(), "count": 2 });
    let waiting = tokio::spawn({
        let cloud = Arc::clone(&cloud);
        async move { cloud.invoke("tiny", event).await.unwrap() }
    });
    while std::fs::read_dir(meeting.path()).unwrap().count() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(cloud.kill("tiny").await.unwrap(), 1);
    assert!(
        waiting
            .await
            .unwrap()
            .function_error
            .unwrap()
            .contains("signal: 9")
    );
    assert!(cloud.invoke("tiny", json!({})).await.unwrap().cold);
    let reports = cloud
        .logs("tiny")
        .into_iter()
        .filter(|line| line.contains("platform.report"))
        .count();
    assert_eq!(reports, 6);
    Arc::into_inner(cloud).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_gets_the_templates_variables_with_local_values() {
    let Fixture {
        cloud,
        folder: _folder,
    } = start(|_| {}).await;
    let variables = cloud
        .invoke("tiny", json!({ "action": "environment" }))
        .await
        .unwrap()
        .payload;
    assert_eq!(variables["QUEUE"], cloud.queue_url("jobs").unwrap());
    assert_eq!(variables["DATABASE_URL"], cloud.database_url());
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_NAME"], "tiny");
    assert!(variables.get("PLAID_SECRET").is_some() && variables.get("PLAID_SECRET_ARN").is_none());
    for absent in ["DATABASE_HOST", "HOME", "DRIVEWEALTH_SECRET"] {
        assert!(variables.get(absent).is_none(), "{absent}");
    }
    cloud.set_function_environment("tiny", "COLOUR", "green").unwrap();
    let changed = cloud
        .invoke("tiny", json!({ "action": "environment" }))
        .await
        .unwrap();
    assert!(changed.cold);
    assert_eq!(changed.payload["COLOUR"], "green");
    let scheduled = cloud.run_schedule("tiny", None).await.unwrap();
    assert_eq!(scheduled.payload, json!({ "scope": "all" }));
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_fails_too_often_is_given_up_and_can_be_sent_back() {
    let Fixture {
        cloud,
        folder: _folder,
    } = start(|_| {}).await;
    for body in ["fine", "poison", "fine"] {
        send(&cloud, body).await;
    }
    wait_for_messages(&cloud, "jobs-dead", 1).await;
    wait_for_messages(&cloud, "jobs", 0).await;
    let seen: Value = client()
        .get(format!("{}/local/queues/jobs-dead/messages", cloud.url()))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(seen["items"][0]["body"], "poison");

    cloud.set_function_environment("worker", "IMMUNE", "1").unwrap();
    assert_eq!(cloud.redrive("jobs-dead").await.unwrap(), 1);
    wait_for_messages(&cloud, "jobs-dead", 0).await;
    wait_for_messages(&cloud, "jobs", 0).await;

    cloud.pause_event_source("jobs", true).await.unwrap();
    send(&cloud, "fine").await;
    wait_for_messages(&cloud, "jobs", 1).await;
    cloud.pause_event_source("jobs", false).await.unwrap();
    wait_for_messages(&cloud, "jobs", 0).await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_sent_the_moment_its_queue_is_paused_is_not_lost() {
    let Fixture {
        cloud,
        folder: _folder,
    } = start(|_| {}).await;
    for _ in 0..5 {
        cloud.pause_event_source("jobs", true).await.unwrap();
        send(&cloud, "fine").await;
        wait_for_messages(&cloud, "jobs", 1).await;
        cloud.pause_event_source("jobs", false).await.unwrap();
        wait_for_messages(&cloud, "jobs", 0).await;
    }
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_changes_of_a_table_reach_the_function_and_those_given_up_the_failure_queue() {
    use aws_sdk_dynamodb::types::AttributeValue;

    let Fixture {
        cloud,
        folder: _folder,
    } = start(|_| {}).await;
    let table = cloud.table("items").unwrap();
    let put = |key: &str| {
        cloud
            .dynamodb()
            .put_item()
            .table_name(&table)
            .item("pk", AttributeValue::S(key.to_owned()))
    };
    put("one").send().await.unwrap();
    let followed = || {
        let lines = cloud.logs("follower");
        lines.iter().any(|line| line.contains("\"outcome\":\"success\""))
    };
    tokio::time::timeout(Duration::from_secs(60), async {
        while !followed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the change reaches the function");
    cloud.set_function_environment("follower", "BROKEN", "1").unwrap();
    put("two").send().await.unwrap();
    wait_for_messages(&cloud, "stream-failures", 1).await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_answers_as_the_real_one() {
    let Fixture {
        cloud,
        folder: _folder,
    } = start(|_| {}).await;
    let http = client();
    let url = cloud.url();
    let call = async |token: Option<String>, path: &str| {
        let request = http.get(format!("{url}{path}"));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().await.unwrap();
        (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        )
    };
    let token = |claims: Value| Some(cloud.mint_token(claims).unwrap());
    let with = |options: TokenOptions| Some(cloud.mint_token_with(json!({}), options).unwrap());
    assert!(cloud.mint_token(json!(["no", "claims"])).is_err());
    let unauthorized = (401, json!({ "message": "Unauthorized" }));
    assert_eq!(call(None, "/scoped").await, unauthorized);
    assert_eq!(
        call(token(json!({ "expires_in": -1 })), "/scoped").await,
        unauthorized
    );
    assert_eq!(
        call(
            with(TokenOptions {
                wrong_key: true,
                ..TokenOptions::default()
            }),
            "/scoped"
        )
        .await,
        unauthorized
    );
    assert_eq!(
        call(token(json!({})), "/scoped").await,
        (403, json!({ "message": "Forbidden" }))
    );
    assert_eq!(
        call(token(json!({ "scope": "dealers wallets" })), "/scoped")
            .await
            .0,
        200
    );
    assert_eq!(
        call(token(json!({})), "/nowhere").await,
        (404, json!({ "message": "Not Found" }))
    );
    assert_eq!(call(None, "/open").await.0, 200);

    let minted = http
        .post(format!("{url}/local/tokens"))
        .json(&json!({ "profile_id": 7, "groups": ["admin"] }));
    let minted: Value = minted.send().await.unwrap().json().await.unwrap();
    let hello = http
        .post(format!("{url}/hello/a%20b"))
        .bearer_auth(minted["token"].as_str().unwrap());
    let answer: Value = hello
        .json(&json!({ "x": 1 }))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(answer["parameters"], json!({ "name": "a b" }));
    assert_eq!(answer["body"], "{\"x\":1}");
    assert_eq!(
        (&answer["claims"]["profile_id"], &answer["claims"]["groups"]),
        (&json!("7"), &json!("[admin]"))
    );

    let large = http
        .post(format!("{url}/hello/x"))
        .bearer_auth(cloud.mint_token(json!({})).unwrap());
    let large = large.body(vec![b'x'; 6 * 1024 * 1024 + 1]).send().await.unwrap();
    assert_eq!(large.status(), 413);
    let status: Value = http
        .get(format!("{url}/local/status"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(status["functions"].as_array().unwrap().len(), 4);
    let page = http.get(format!("{url}/docs")).send().await.unwrap();
    assert_eq!(page.status(), 200);

    // A port that is taken is said plainly.
    let mut options = Options::for_tests(Path::new("."));
    options.port = Some(url.rsplit(':').next().unwrap().parse().unwrap());
    let problem = LocalCloud::start(options).await.err().unwrap();
    assert!(problem.to_string().contains("is taken"), "{problem}");
    cloud.stop().await;
}
