//! `infra/tools/deploy.sh` in a folder of its own, with a `sam` that only notes how it was called and with an AWS that does
//! the same: what happens in which order.
#![expect(clippy::expect_used, reason = "a test stops at what it can't do")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

const FUNCTION: &str = "moneta-dev-Migrate-1";
const SAMCONFIG: &str = r#"version = 0.1
[dev.global.parameters]
region = "us-east-1"

[dev.deploy.parameters]
stack_name = "moneta-dev"
parameter_overrides = [
    "Stage=dev",
    "Architecture=arm64",
    "DatabaseHost=VALUE",
]
"#;

/// What a stage is like before it is deployed.
#[derive(Debug, Clone, Copy)]
enum Before {
    Nothing,
    Deployed,
}

/// What the Migrate function answers.
#[derive(Debug, Clone, Copy)]
enum Migration {
    Succeeds,
    Fails,
}

/// A folder with the scripts, and what happened when they ran.
struct Stage {
    folder: tempfile::TempDir,
    events: Arc<Mutex<Vec<String>>>,
    endpoint: String,
}

impl Stage {
    fn new(before: Before, migration: Migration) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let events = Arc::new(Mutex::new(Vec::new()));
        let endpoint = serve(before, migration, Arc::clone(&events));
        let stage = Self {
            folder,
            events,
            endpoint,
        };
        stage.lay_out();
        stage
    }

    fn lay_out(&self) {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let installed = Command::new(project.join("infra/tools/python-tools.sh"))
            .arg("aws-sam-cli")
            .status();
        assert!(
            installed.expect("it runs").success(),
            "aws-sam-cli can be installed"
        );
        for script in ["deploy.sh", "migrate-stage.py"] {
            let text = fs::read(project.join("infra/tools").join(script)).expect("the script is there");
            self.write(&format!("infra/tools/{script}"), &text);
        }
        self.write("samconfig.toml", SAMCONFIG.as_bytes());
        self.write("infra/tools/python-tools.sh", b"#!/bin/sh\n");
        self.write(
            "infra/tools/build-artifacts.sh",
            self.noting("build $ARCHITECTURE").as_bytes(),
        );
        self.write("target/lambda/migrate/bootstrap", b"the new migrations");
        self.write(
            ".local/tools/aws-sam-cli/bin/sam",
            self.noting("sam $1").as_bytes(),
        );
        let programs = fs::canonicalize(project.join(".local/tools/aws-sam-cli/bin")).expect("it is there");
        // A virtual environment is found by the place of its python, which a link hides.
        self.write(
            ".local/tools/aws-sam-cli/bin/python",
            format!("#!/bin/sh\nexec {} \"$@\"\n", programs.join("python").display()).as_bytes(),
        );
    }

    /// A script that tells AWS of itself, so that there is one order of all.
    fn noting(&self, what: &str) -> String {
        format!(
            "#!/bin/sh\ncurl -sf -X POST --data \"{what}\" {}/noted\n",
            self.endpoint
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("the folder");
        fs::write(&path, text).expect("the file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    fn deploy(&self) -> Output {
        Command::new(self.path("infra/tools/deploy.sh"))
            .arg("dev")
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", "none")
            .env("AWS_SECRET_ACCESS_KEY", "none")
            .output()
            .expect("it runs")
    }

    fn events(&self) -> Vec<String> {
        self.events.lock().expect("nobody panicked").clone()
    }
}

/// CloudFormation and Lambda, as far as a deploy asks them; every call is noted.
fn serve(before: Before, migration: Migration, events: Arc<Mutex<Vec<String>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has an address");
    thread::spawn(move || {
        let mut deployed = matches!(before, Before::Deployed);
        for connection in listener.incoming() {
            let mut connection = connection.expect("a connection");
            let (line, body) = request(&mut connection);
            let (event, answer) = answer(&line, &body, deployed, migration);
            deployed |= event.as_deref() == Some("sam deploy");
            events.lock().expect("nobody panicked").extend(event);
            connection.write_all(answer.as_bytes()).expect("it is heard");
        }
    });
    format!("http://{address}")
}

/// The first line and the body.
fn request(connection: &mut TcpStream) -> (String, Vec<u8>) {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a request");
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).expect("a header");
        if header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    (line, body)
}

fn answer(line: &str, body: &[u8], deployed: bool, migration: Migration) -> (Option<String>, String) {
    let text = String::from_utf8_lossy(body);
    if line.contains("/noted") {
        return (Some(text.into_owned()), http("200 OK", "", ""));
    }
    if text.contains("Action=DescribeStacks") {
        return (None, described(deployed));
    }
    if line.contains("/code") {
        let is_for_arm = text.contains(r#""Architectures": ["arm64"]"#);
        let event = if is_for_arm {
            "new code for arm64"
        } else {
            "new code"
        };
        return (Some(event.to_owned()), http("200 OK", "", "{}"));
    }
    if line.contains("/invocations") {
        let failure = match migration {
            Migration::Succeeds => "",
            Migration::Fails => "X-Amz-Function-Error: Unhandled\r\n",
        };
        return (
            Some("migrate".to_owned()),
            http("200 OK", failure, r#"{"version":50}"#),
        );
    }
    let state = r#"{"Configuration":{"State":"Active","LastUpdateStatus":"Successful"}}"#;
    (None, http("200 OK", "", state))
}

fn described(deployed: bool) -> String {
    if !deployed {
        let error = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
                     <Message>Stack with id moneta-dev does not exist</Message></Error></ErrorResponse>";
        return http("400 Bad Request", "", error);
    }
    let output = format!(
        "<member><OutputKey>MigrateFunction</OutputKey><OutputValue>{FUNCTION}</OutputValue></member>"
    );
    let stack = format!("<member><StackName>moneta-dev</StackName><Outputs>{output}</Outputs></member>");
    let all = format!("<DescribeStacksResult><Stacks>{stack}</Stacks></DescribeStacksResult>");
    http(
        "200 OK",
        "",
        &format!("<DescribeStacksResponse>{all}</DescribeStacksResponse>"),
    )
}

fn http(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_first_deploy_migrates_when_its_function_is_there() {
    let stage = Stage::new(Before::Nothing, Migration::Succeeds);
    let output = stage.deploy();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stage.events(), ["build arm64", "sam deploy", "migrate"]);
}

#[test]
fn a_later_deploy_migrates_with_the_new_migrations_before_the_new_code() {
    let stage = Stage::new(Before::Deployed, Migration::Succeeds);
    let output = stage.deploy();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        stage.events(),
        [
            "build arm64",
            "new code for arm64",
            "migrate",
            "sam deploy",
            "migrate"
        ]
    );
}

#[test]
fn a_migration_that_fails_keeps_the_release_before() {
    let stage = Stage::new(Before::Deployed, Migration::Fails);
    let output = stage.deploy();
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(stage.events(), ["build arm64", "new code for arm64", "migrate"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("The release before is still deployed."), "{said}");
}

#[test]
fn values_that_are_missing_are_named_with_their_lines() {
    let stage = Stage::new(Before::Nothing, Migration::Succeeds);
    stage.write("samconfig.toml", SAMCONFIG.replace("VALUE", "REPLACE").as_bytes());
    let output = stage.deploy();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains(r#"samconfig.toml:10: "DatabaseHost=REPLACE""#),
        "{said}"
    );
    assert!(stage.events().is_empty());
}
