drop table idempotency_keys;
drop table api_keys;
drop table usage_daily;
drop table responses;
drop table messages;
drop table conversation_members;
drop table conversations;
drop table users;
