create table documents (
  owner_id blob not null,
  id blob not null,
  title text,
  metadata text not null,
  revision integer not null,
  created_at integer not null,
  updated_at integer not null,
  content text not null,
  constraint pk_documents primary key (owner_id, id),
  constraint fk_documents_owner_id foreign key (owner_id) references users (id) on delete cascade,
  constraint ck_documents_metadata check (json_valid(metadata)),
  constraint ck_documents_content check (json_valid(content))
) strict, without rowid;
create index ix_documents_created_at on documents (owner_id, created_at desc, id desc);
create index ix_documents_title on documents (owner_id, title, created_at desc, id desc);
