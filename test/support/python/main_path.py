"""The main path of the daemon's API, in a language for which the project ships nothing but proto/.

Called as `main_path.py <host>:<port>` with the stubs made from proto/threads.proto on PYTHONPATH. Prints the name of
each step that went as it must, and ends with an exception at the first that did not.
"""

import base64
import json
import os
import queue
import sys
import threading

import grpc
import threads_pb2 as pb
import threads_pb2_grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SCHEMA = {
    "properties": {"_id": {"type": "string"}, "name": {"type": "string"}, "age": {"type": "number"}},
    "required": ["_id", "name"],
}
TIMEOUT_S = 20


def encode(document):
    return json.dumps(document).encode()


def identity_of(key):
    """Multibase base32 of the libp2p protobuf of an Ed25519 public key."""
    protobuf = b"\x08\x01\x12\x20" + key.public_key().public_bytes_raw()
    return "b" + base64.b32encode(protobuf).decode().lower().rstrip("=")


class Stream:
    """A bidirectional call: send a request, wait for its reply, half-close."""

    def __init__(self, method, metadata=None):
        self._requests = queue.SimpleQueue()
        self._replies = method(iter(self._requests.get, None), metadata=metadata, timeout=TIMEOUT_S)

    def send(self, request):
        self._requests.put(request)

    def ask(self, request):
        self.send(request)
        return next(self._replies)

    def end(self):
        self._requests.put(None)
        for reply in self._replies:
            raise AssertionError(f"a reply after the end: {reply}")


class Updates:
    """Updates of a database, received by a thread of its own."""

    def __init__(self, call):
        self._call = call
        self._received = queue.SimpleQueue()
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self):
        try:
            for update in self._call:
                self._received.put(update)
        except grpc.RpcError as error:
            self._received.put(error)

    def next(self, timeout=TIMEOUT_S):
        update = self._received.get(timeout=timeout)
        if isinstance(update, grpc.RpcError):
            raise update
        return update

    def await_start(self, touch):
        """A call listens once the daemon has its request: touches until an update shows that it has."""
        for _ in range(TIMEOUT_S * 2):
            touch()
            try:
                return self.next(timeout=0.5)
            except queue.Empty:
                continue
        raise AssertionError("no update")

    def next_of(self, instance_id):
        update = self.next()
        while update.instanceID != instance_id:
            update = self.next()
        return update

    def cancel(self):
        self._call.cancel()


class MainPath:
    def __init__(self, channel):
        self.api = threads_pb2_grpc.APIStub(channel)
        self.db = b"\x01\x55" + os.urandom(32)
        self.animals = {"dbID": self.db, "collectionName": "Animal"}
        self.metadata = []

    def call(self, method, request):
        return method(request, metadata=self.metadata, timeout=TIMEOUT_S)

    def failure(self, method, request):
        try:
            self.call(method, request)
        except grpc.RpcError as error:
            return error
        raise AssertionError("the call went well")

    def find(self, query):
        reply = self.call(self.api.Find, pb.FindRequest(**self.animals, queryJSON=encode(query)))
        return [json.loads(each) for each in reply.instances]

    def save(self, document):
        self.call(self.api.Save, pb.SaveRequest(**self.animals, instances=[encode(document)]))

    def token(self):
        """Proves that we hold a key: the daemon sends a challenge, we answer with its signature."""
        key = Ed25519PrivateKey.generate()
        stream = Stream(self.api.GetToken)
        challenge = stream.ask(pb.GetTokenRequest(key=identity_of(key))).challenge
        assert len(challenge) == 32, challenge
        token = stream.ask(pb.GetTokenRequest(signature=key.sign(challenge))).token
        stream.end()
        self.metadata = [("authorization", f"bearer {token}")]

    def new_db(self):
        self.call(self.api.NewDB, pb.NewDBRequest(dbID=self.db, name="zoo"))
        info = self.call(self.api.GetDBInfo, pb.GetDBInfoRequest(dbID=self.db))
        assert info.name == "zoo" and len(info.key) == 64 and len(info.addrs) > 0, info
        error = self.failure(self.api.NewDB, pb.NewDBRequest(dbID=self.db))
        assert error.details() == "db already exists", error

    def collection(self):
        config = pb.CollectionConfig(name="Animal", schema=encode(SCHEMA), indexes=[pb.Index(path="age")])
        self.call(self.api.NewCollection, pb.NewCollectionRequest(dbID=self.db, config=config))
        listed = self.call(self.api.ListCollections, pb.ListCollectionsRequest(dbID=self.db)).collections
        assert [each.name for each in listed] == ["Animal"], listed

    def create(self):
        documents = [{"_id": "", "name": "Ada", "age": 12}, {"_id": "bo", "name": "Bo", "age": 3}]
        request = pb.CreateRequest(**self.animals, instances=[encode(each) for each in documents])
        created = self.call(self.api.Create, request).instanceIDs
        assert len(created) == 2 and created[0] != "" and created[1] == "bo", created
        error = self.failure(self.api.Create, pb.CreateRequest(**self.animals, instances=[encode({"_id": "x"})]))
        assert error.details().startswith("instance doesn't correspond to schema: "), error
        assert dict(error.trailing_metadata())["threads-error-code"] == "INVALID_INSTANCE", error

    def find_documents(self):
        old = {"Ands": [{"FieldPath": "age", "Operation": 4, "Value": {"Float": 10}}]}
        assert [each["name"] for each in self.find(old)] == ["Ada"]
        assert [each["name"] for each in self.find({"Sort": {"FieldPath": "age"}})] == ["Bo", "Ada"]
        found = self.call(self.api.FindByID, pb.FindByIDRequest(**self.animals, instanceID="bo")).instance
        # Documents carry the time of their last change.
        bo = json.loads(found)
        assert bo.pop("_mod") > 0 and bo == {"_id": "bo", "name": "Bo", "age": 3}, found

    def save_document(self):
        self.save({"_id": "bo", "name": "Bo", "age": 4})
        assert [each["age"] for each in self.find({"Sort": {"FieldPath": "age"}})] == [4, 12]

    def write_transaction(self):
        start = pb.StartTransactionRequest(**self.animals)
        stream = Stream(self.api.WriteTransaction, self.metadata)
        stream.send(pb.WriteTransactionRequest(startTransactionRequest=start))
        create = pb.CreateRequest(instances=[encode({"_id": "cy", "name": "Cy", "age": 1})])
        reply = stream.ask(pb.WriteTransactionRequest(createRequest=create)).createReply
        assert list(reply.instanceIDs) == ["cy"] and reply.transactionError == "", reply
        # An operation that fails is told in its reply; the transaction goes on.
        again = pb.CreateRequest(instances=[encode({"_id": "bo", "name": "Bo"})])
        reply = stream.ask(pb.WriteTransactionRequest(createRequest=again)).createReply
        assert reply.transactionError == "can't create already existing instance", reply
        # Reads in it see what is committed.
        has = pb.WriteTransactionRequest(hasRequest=pb.HasRequest(instanceIDs=["cy"]))
        assert not stream.ask(has).hasReply.exists
        stream.end()
        assert self.call(self.api.Has, pb.HasRequest(**self.animals, instanceIDs=["bo", "cy"])).exists

    def listen(self):
        updates = Updates(self.api.Listen(pb.ListenRequest(dbID=self.db), metadata=self.metadata))
        updates.await_start(lambda: self.save({"_id": "probe", "name": "Probe"}))
        self.save({"_id": "bo", "name": "Bo", "age": 5})
        update = updates.next_of("bo")
        assert (update.collectionName, update.action) == ("Animal", pb.ListenReply.SAVE), update
        assert json.loads(update.instance)["age"] == 5, update
        self.call(self.api.Delete, pb.DeleteRequest(**self.animals, instanceIDs=["bo"]))
        update = updates.next_of("bo")
        assert (update.action, update.instance) == (pb.ListenReply.DELETE, b""), update
        updates.cancel()

    def delete(self):
        self.call(self.api.Delete, pb.DeleteRequest(**self.animals, instanceIDs=["cy"]))
        error = self.failure(self.api.FindByID, pb.FindByIDRequest(**self.animals, instanceID="cy"))
        assert (error.code(), error.details()) == (grpc.StatusCode.UNKNOWN, "instance not found"), error
        self.call(self.api.DeleteDB, pb.DeleteDBRequest(dbID=self.db))
        error = self.failure(self.api.GetDBInfo, pb.GetDBInfoRequest(dbID=self.db))
        assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "thread not found"), error


def main(address):
    with grpc.insecure_channel(address) as channel:
        path = MainPath(channel)
        steps = {
            "token": path.token,
            "new db": path.new_db,
            "collection": path.collection,
            "create": path.create,
            "find": path.find_documents,
            "save": path.save_document,
            "write transaction": path.write_transaction,
            "listen": path.listen,
            "delete": path.delete,
        }
        for name, step in steps.items():
            step()
            print(name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
