//! Made-up physical names and well-formed ARNs, from logical ids.

use serde_json::Value;

pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "us-east-1";
pub const STACK: &str = "echo-webhooks";

/// The value of a pseudo parameter; `None` for an unknown name and for `AWS::NoValue`.
pub(crate) fn pseudo(name: &str) -> Option<Value> {
    Some(match name {
        "AWS::AccountId" => ACCOUNT.into(),
        "AWS::Region" => REGION.into(),
        "AWS::StackName" => STACK.into(),
        "AWS::Partition" => "aws".into(),
        "AWS::URLSuffix" => "amazonaws.com".into(),
        "AWS::StackId" => format!(
            "arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/00000000-0000-4000-8000-000000000001"
        )
        .into(),
        "AWS::NotificationARNs" => Value::Array(Vec::new()),
        _ => return None,
    })
}

/// The value of `Ref` for a resource: an ARN or a URL for some types, else a name.
pub(crate) fn reference(id: &str, kind: &str) -> String {
    match kind {
        "AWS::SQS::Queue" => queue_url(id),
        "AWS::SecretsManager::Secret" | "AWS::IAM::ManagedPolicy" | "AWS::SNS::Topic" => {
            arn(id, kind).unwrap_or_default()
        }
        _ => id.to_owned(),
    }
}

/// The value of `Fn::GetAtt`.
pub(crate) fn attribute(id: &str, kind: &str, attribute: &str) -> Option<String> {
    Some(match (kind, attribute) {
        ("AWS::SecretsManager::Secret", "Id") => arn(id, kind)?,
        ("AWS::ApiGatewayV2::Api", "ApiEndpoint") => {
            format!("https://{id}.execute-api.{REGION}.amazonaws.com")
        }
        ("AWS::ApiGatewayV2::Api", "ApiId") => id.to_owned(),
        ("AWS::SQS::Queue", "QueueName") => id.to_owned(),
        ("AWS::SQS::Queue", "QueueUrl") => queue_url(id),
        (_, "Arn") => arn(id, kind)?,
        _ => return None,
    })
}

fn queue_url(id: &str) -> String {
    format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{id}")
}

fn arn(id: &str, kind: &str) -> Option<String> {
    let (service, rest) = match kind {
        "AWS::DynamoDB::Table" => ("dynamodb", format!("{REGION}:{ACCOUNT}:table/{id}")),
        "AWS::SQS::Queue" => ("sqs", format!("{REGION}:{ACCOUNT}:{id}")),
        "AWS::Serverless::Function" | "AWS::Lambda::Function" => {
            ("lambda", format!("{REGION}:{ACCOUNT}:function:{id}"))
        }
        "AWS::IAM::Role" => ("iam", format!(":{ACCOUNT}:role/{id}")),
        "AWS::IAM::ManagedPolicy" => ("iam", format!(":{ACCOUNT}:policy/{id}")),
        "AWS::Logs::LogGroup" => ("logs", format!("{REGION}:{ACCOUNT}:log-group:{id}:*")),
        "AWS::Events::Rule" => ("events", format!("{REGION}:{ACCOUNT}:rule/{id}")),
        // Secrets Manager ends each ARN with a dash and six characters that it chooses.
        "AWS::SecretsManager::Secret" => ("secretsmanager", format!("{REGION}:{ACCOUNT}:secret:{id}-a1b2c3")),
        "AWS::SNS::Topic" => ("sns", format!("{REGION}:{ACCOUNT}:{id}")),
        "AWS::CloudWatch::Alarm" => ("cloudwatch", format!("{REGION}:{ACCOUNT}:alarm:{id}")),
        _ => return None,
    };
    Some(format!("arn:aws:{service}:{rest}"))
}
