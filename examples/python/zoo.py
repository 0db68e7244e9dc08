"""A database of animals, shared with whoever has its address and key. See README.md beside this file."""

import json
import os
import sys

import grpc
import threads_pb2 as pb
import threads_pb2_grpc

SCHEMA = {
    "properties": {"_id": {"type": "string"}, "name": {"type": "string"}, "age": {"type": "number"}},
    "required": ["_id", "name"],
}


def encode(document):
    return json.dumps(document).encode()


def main(address):
    api = threads_pb2_grpc.APIStub(grpc.insecure_channel(address))

    # A thread id: version 1, variant raw, random bytes.
    db = b"\x01\x55" + os.urandom(32)
    animals = pb.CollectionConfig(name="Animal", schema=encode(SCHEMA), indexes=[pb.Index(path="age")])
    api.NewDB(pb.NewDBRequest(dbID=db, name="zoo", collections=[animals]))

    # An empty _id asks the daemon for one.
    documents = [{"_id": "", "name": "Ada", "age": 12}, {"_id": "", "name": "Bo", "age": 3}]
    request = pb.CreateRequest(dbID=db, collectionName="Animal", instances=[encode(each) for each in documents])
    ada, bo = api.Create(request).instanceIDs

    # One record, all or nothing: requests are sent as a stream, whose end commits.
    def transaction():
        start = pb.StartTransactionRequest(dbID=db, collectionName="Animal")
        yield pb.WriteTransactionRequest(startTransactionRequest=start)
        saved = [encode({"_id": ada, "name": "Ada", "age": 13}), encode({"_id": bo, "name": "Bo", "age": 4})]
        yield pb.WriteTransactionRequest(saveRequest=pb.SaveRequest(instances=saved))

    for reply in api.WriteTransaction(transaction()):
        if reply.saveReply.transactionError:
            raise RuntimeError(reply.saveReply.transactionError)

    # Operations: 0 ==, 1 !=, 2 >, 3 <, 4 >=, 5 <=.
    older = {"Ands": [{"FieldPath": "age", "Operation": 4, "Value": {"Float": 10}}]}
    found = api.Find(pb.FindRequest(dbID=db, collectionName="Animal", queryJSON=encode(older)))
    for animal in map(json.loads, found.instances):
        print(animal["name"], animal["age"])

    # What a second daemon needs to join; NewDBFromAddr takes both. The key lets its holder read and write.
    info = api.GetDBInfo(pb.GetDBInfoRequest(dbID=db))
    print("addresses:", len(info.addrs), "key bytes:", len(info.key))

    # A failure has a text, and a code of ERRORS.md.
    try:
        api.FindByID(pb.FindByIDRequest(dbID=db, collectionName="Animal", instanceID="nobody"))
    except grpc.RpcError as error:
        print(dict(error.trailing_metadata())["threads-error-code"])


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:6006")
