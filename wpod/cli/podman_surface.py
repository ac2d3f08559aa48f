"""The command line of podman 4.3 as facts: each command, its flags, and which of them take a value.

Read from `podman COMMAND --help`. `x/name` has the short form -x; a trailing `=` takes a value. Loaded only
when a flag or command isn't in wpod's own table, to refuse it by name rather than as a typing error, and for
docs/compatibility.md.
"""

from __future__ import annotations

VERSION = "4.3"
FLAGS: dict[str, str] = {
    "": (
        "cgroup-manager= conmon= c/connection= events-backend= hooks-dir= identity= log-level= namespace= "
        "network-cmd-path= network-config-dir= noout r/remote root= runroot= runtime= runtime-flag= ssh= "
        "storage-driver= storage-opt= syslog tmpdir= url= v/version volumepath="
    ),
    "attach": "detach-keys= l/latest no-stdin sig-proxy",
    "auto-update": "authfile= dry-run format= rollback",
    "build": (
        "add-host= all-platforms annotation= arch= authfile= build-arg= build-context= cache-from= cache-to= "
        "cache-ttl= cap-add= cap-drop= cert-dir= cgroup-parent= cgroupns= compress cpp-flag= cpu-period= "
        "cpu-quota= c/cpu-shares= cpuset-cpus= cpuset-mems= creds= decryption-key= device= D/disable-compression "
        "disable-content-trust dns= dns-option= dns-search= env= f/file= force-rm format= from= hooks-dir= "
        "http-proxy identity-label ignorefile= iidfile= ipc= isolation= jobs= label= layers logfile= logsplit "
        "manifest= m/memory= memory-swap= network= no-cache no-hosts omit-history os= os-feature= os-version= "
        "o/output= pid= platform= pull= q/quiet retry= retry-delay= rm runtime-flag= secret= security-opt= "
        "shm-size= sign-by= skip-unused-stages squash squash-all ssh= stdin t/tag= target= timestamp= tls-verify "
        "ulimit= unsetenv= userns= userns-gid-map= userns-gid-map-group= userns-uid-map= userns-uid-map-user= "
        "uts= variant= v/volume="
    ),
    "commit": "a/author= c/change= f/format= iidfile= include-volumes m/message= p/pause q/quiet s/squash",
    "container checkpoint": (
        "a/all c/compress= create-image= e/export= file-locks ignore-rootfs ignore-volumes k/keep l/latest "
        "R/leave-running P/pre-checkpoint print-stats tcp-established with-previous"
    ),
    "container cleanup": "a/all exec= l/latest rm rmi",
    "container clone": (
        "blkio-weight= blkio-weight-device= cpu-period= cpu-quota= cpu-rt-period= cpu-rt-runtime= c/cpu-shares= "
        "cpus= cpuset-cpus= cpuset-mems= destroy device-read-bps= device-write-bps= f/force m/memory= "
        "memory-reservation= memory-swap= memory-swappiness= name= pod= run"
    ),
    "container exists": "external",
    "container inspect": "f/format= l/latest s/size",
    "container prune": "filter= f/force",
    "container restore": (
        "a/all file-locks ignore-rootfs ignore-static-ip ignore-static-mac ignore-volumes i/import= "
        "import-previous= k/keep l/latest n/name= pod= print-stats p/publish= tcp-established"
    ),
    "container runlabel": "authfile= cert-dir= creds= display n/name= q/quiet replace tls-verify",
    "cp": "a/archive overwrite",
    "create": (
        "add-host= annotation= arch= a/attach= authfile= blkio-weight= blkio-weight-device= cap-add= cap-drop= "
        "cgroup-conf= cgroup-parent= cgroupns= cgroups= chrootdirs= cidfile= conmon-pidfile= cpu-period= "
        "cpu-quota= cpu-rt-period= cpu-rt-runtime= c/cpu-shares= cpus= cpuset-cpus= cpuset-mems= device= "
        "device-cgroup-rule= device-read-bps= device-read-iops= device-write-bps= device-write-iops= "
        "disable-content-trust dns= dns-option= dns-search= entrypoint= e/env= env-file= env-host env-merge= "
        "expose= gidmap= group-add= health-cmd= health-interval= health-on-failure= health-retries= "
        "health-start-period= health-timeout= h/hostname= hostuser= http-proxy image-volume= init init-ctr= "
        "init-path= i/interactive ip= ip6= ipc= l/label= label-file= log-driver= log-opt= mac-address= m/memory= "
        "memory-reservation= memory-swap= memory-swappiness= mount= name= network= network-alias= no-healthcheck "
        "no-hosts oom-kill-disable oom-score-adj= os= passwd-entry= personality= pid= pidfile= pids-limit= "
        "platform= pod= pod-id-file= privileged p/publish= P/publish-all pull= q/quiet read-only read-only-tmpfs "
        "replace requires= restart= rm rootfs sdnotify= seccomp-policy= secret= security-opt= shm-size= "
        "stop-signal= stop-timeout= subgidname= subuidname= sysctl= systemd= timeout= tls-verify tmpfs= t/tty tz= "
        "uidmap= ulimit= umask= unsetenv= unsetenv-all u/user= userns= uts= variant= v/volume= volumes-from= "
        "w/workdir="
    ),
    "diff": "format= l/latest",
    "events": "f/filter= format= no-trunc since= until=",
    "exec": (
        "d/detach detach-keys= e/env= env-file= i/interactive l/latest preserve-fds= privileged t/tty u/user= "
        "w/workdir="
    ),
    "export": "o/output=",
    "generate kube": "f/filename= s/service",
    "generate spec": "c/compact f/filename= n/name",
    "generate systemd": (
        "after= container-prefix= e/env= f/files format= n/name new no-header pod-prefix= requires= "
        "restart-policy= restart-sec= separator= start-timeout= stop-timeout= template wants="
    ),
    "healthcheck run": "",
    "history": "format= H/human no-trunc q/quiet",
    "image diff": "format=",
    "image exists": "",
    "image inspect": "f/format=",
    "image mount": "a/all format=",
    "image prune": "a/all external filter= f/force",
    "image scp": "q/quiet",
    "image sign": "a/all authfile= cert-dir= d/directory= sign-by=",
    "image tree": "whatrequires",
    "image trust set": "f/pubkeysfile= t/type=",
    "image trust show": "j/json n/noheading raw",
    "image unmount": "a/all f/force",
    "images": "a/all digests f/filter= format= history no-trunc n/noheading q/quiet sort=",
    "import": "arch= c/change= m/message= os= q/quiet variant=",
    "info": "f/format=",
    "init": "a/all l/latest",
    "inspect": "f/format= l/latest s/size t/type=",
    "kill": "a/all cidfile= l/latest s/signal=",
    "kube down": "",
    "kube generate": "f/filename= s/service",
    "kube play": (
        "annotation= authfile= build cert-dir= configmap= context-dir= creds= ip= log-driver= log-opt= "
        "mac-address= network= no-hosts q/quiet replace seccomp-profile-root= start tls-verify userns="
    ),
    "load": "i/input= q/quiet",
    "login": "authfile= cert-dir= get-login p/password= password-stdin tls-verify u/username= v/verbose",
    "logout": "a/all authfile=",
    "logs": "color f/follow l/latest n/names since= tail= t/timestamps until=",
    "machine info": "f/format=",
    "machine init": (
        "cpus= disk-size= ignition-path= image-path= m/memory= now rootful timezone= username= v/volume= volume-driver="
    ),
    "machine inspect": "format=",
    "machine list": "format= noheading q/quiet",
    "machine rm": "f/force save-ignition save-image save-keys",
    "machine set": "cpus= disk-size= m/memory= rootful",
    "machine ssh": "username=",
    "machine start": "",
    "machine stop": "",
    "manifest add": "all annotation= arch= authfile= cert-dir= creds= features= os= os-version= tls-verify variant=",
    "manifest annotate": "annotation= arch= features= os= os-features= os-version= variant=",
    "manifest create": "all a/amend tls-verify",
    "manifest exists": "",
    "manifest inspect": "",
    "manifest push": (
        "all authfile= cert-dir= compression-format= creds= digestfile= f/format= q/quiet remove-signatures rm "
        "sign-by= sign-by-sigstore-private-key= sign-passphrase-file= tls-verify"
    ),
    "manifest remove": "",
    "manifest rm": "",
    "mount": "a/all format= l/latest no-trunc",
    "network connect": "alias= ip= ip6= mac-address=",
    "network create": "disable-dns d/driver= gateway= internal ip-range= ipam-driver= ipv6 label= o/opt= subnet=",
    "network disconnect": "f/force",
    "network exists": "",
    "network inspect": "f/format=",
    "network ls": "f/filter= format= no-trunc noheading q/quiet",
    "network prune": "filter= f/force",
    "network reload": "a/all l/latest",
    "network rm": "f/force t/time=",
    "pause": "a/all cidfile= f/filter= l/latest",
    "pod clone": (
        "blkio-weight= blkio-weight-device= cgroup-parent= c/cpu-shares= cpus= cpuset-cpus= cpuset-mems= destroy "
        "device= device-read-bps= device-write-bps= gidmap= h/hostname= infra-command= infra-conmon-pidfile= "
        "infra-name= l/label= label-file= m/memory= memory-swap= n/name= pid= security-opt= shm-size= start "
        "subgidname= subuidname= sysctl= uidmap= userns= uts= v/volume= volumes-from="
    ),
    "pod create": (
        "add-host= blkio-weight= blkio-weight-device= cgroup-parent= c/cpu-shares= cpus= cpuset-cpus= "
        "cpuset-mems= device= device-read-bps= device-write-bps= dns= dns-option= dns-search= exit-policy= "
        "gidmap= h/hostname= infra infra-command= infra-conmon-pidfile= infra-image= infra-name= ip= ip6= "
        "l/label= label-file= mac-address= m/memory= memory-swap= n/name= network= network-alias= no-hosts pid= "
        "pod-id-file= p/publish= replace security-opt= share= share-parent shm-size= subgidname= subuidname= "
        "sysctl= uidmap= userns= uts= v/volume= volumes-from="
    ),
    "pod exists": "",
    "pod inspect": "f/format= l/latest",
    "pod kill": "a/all l/latest s/signal=",
    "pod logs": "color c/container= f/follow l/latest n/names since= tail= t/timestamps until=",
    "pod pause": "a/all l/latest",
    "pod prune": "f/force",
    "pod ps": "ctr-ids ctr-names ctr-status f/filter= format= l/latest no-trunc noheading ns q/quiet sort=",
    "pod restart": "a/all l/latest",
    "pod rm": "a/all f/force i/ignore l/latest pod-id-file= t/time=",
    "pod start": "a/all l/latest pod-id-file=",
    "pod stats": "a/all format= l/latest no-reset no-stream",
    "pod stop": "a/all i/ignore l/latest pod-id-file= t/time=",
    "pod top": "l/latest",
    "pod unpause": "a/all l/latest",
    "port": "a/all l/latest",
    "ps": (
        "a/all external f/filter= format= n/last= l/latest no-trunc noheading ns p/pod q/quiet s/size sort= sync "
        "w/watch="
    ),
    "pull": (
        "a/all-tags arch= authfile= cert-dir= creds= disable-content-trust os= platform= q/quiet tls-verify variant="
    ),
    "push": (
        "authfile= cert-dir= compress compression-format= creds= digestfile= disable-content-trust f/format= "
        "q/quiet remove-signatures sign-by= sign-by-sigstore-private-key= sign-passphrase-file= tls-verify"
    ),
    "rename": "",
    "restart": "a/all cidfile= f/filter= l/latest running t/time=",
    "rm": "a/all cidfile= depend filter= f/force i/ignore l/latest t/time= v/volumes",
    "rmi": "a/all f/force i/ignore no-prune",
    "run": (
        "add-host= annotation= arch= a/attach= authfile= blkio-weight= blkio-weight-device= cap-add= cap-drop= "
        "cgroup-conf= cgroup-parent= cgroupns= cgroups= chrootdirs= cidfile= conmon-pidfile= cpu-period= "
        "cpu-quota= cpu-rt-period= cpu-rt-runtime= c/cpu-shares= cpus= cpuset-cpus= cpuset-mems= d/detach "
        "detach-keys= device= device-cgroup-rule= device-read-bps= device-read-iops= device-write-bps= "
        "device-write-iops= disable-content-trust dns= dns-option= dns-search= entrypoint= e/env= env-file= "
        "env-host env-merge= expose= gidmap= group-add= health-cmd= health-interval= health-on-failure= "
        "health-retries= health-start-period= health-timeout= h/hostname= hostuser= http-proxy image-volume= init "
        "init-path= i/interactive ip= ip6= ipc= l/label= label-file= log-driver= log-opt= mac-address= m/memory= "
        "memory-reservation= memory-swap= memory-swappiness= mount= name= network= network-alias= no-healthcheck "
        "no-hosts oom-kill-disable oom-score-adj= os= passwd passwd-entry= personality= pid= pidfile= pids-limit= "
        "platform= pod= pod-id-file= preserve-fds= privileged p/publish= P/publish-all pull= q/quiet read-only "
        "read-only-tmpfs replace requires= restart= rm rmi rootfs sdnotify= seccomp-policy= secret= security-opt= "
        "shm-size= sig-proxy stop-signal= stop-timeout= subgidname= subuidname= sysctl= systemd= timeout= "
        "tls-verify tmpfs= t/tty tz= uidmap= ulimit= umask= unsetenv= unsetenv-all u/user= userns= uts= variant= "
        "v/volume= volumes-from= w/workdir="
    ),
    "save": "compress format= m/multi-image-archive o/output= q/quiet uncompressed",
    "search": "authfile= compatible f/filter= format= limit= list-tags no-trunc tls-verify",
    "secret create": "d/driver= driver-opts= env l/label=",
    "secret inspect": "f/format= pretty",
    "secret ls": "f/filter= format= noheading q/quiet",
    "secret rm": "a/all",
    "start": "all a/attach detach-keys= f/filter= i/interactive l/latest sig-proxy",
    "stats": "a/all format= i/interval= l/latest no-reset no-stream no-trunc",
    "stop": "a/all cidfile= f/filter= i/ignore l/latest t/time=",
    "system connection add": "d/default identity= p/port= socket-path=",
    "system connection default": "",
    "system connection list": "f/format= q/quiet",
    "system connection remove": "a/all",
    "system connection rename": "",
    "system df": "format= v/verbose",
    "system migrate": "new-runtime=",
    "system prune": "a/all filter= f/force volumes",
    "system renumber": "",
    "system reset": "f/force",
    "system service": "cors= t/time=",
    "tag": "",
    "top": "l/latest",
    "unmount": "a/all f/force l/latest",
    "unpause": "a/all cidfile= f/filter= l/latest",
    "unshare": "rootless-netns",
    "untag": "",
    "update": (
        "blkio-weight= blkio-weight-device= cpu-period= cpu-quota= cpu-rt-period= cpu-rt-runtime= c/cpu-shares= "
        "cpus= cpuset-cpus= cpuset-mems= device-read-bps= device-read-iops= device-write-bps= device-write-iops= "
        "m/memory= memory-reservation= memory-swap= memory-swappiness="
    ),
    "version": "f/format=",
    "volume create": "driver= l/label= o/opt=",
    "volume exists": "",
    "volume export": "o/output=",
    "volume import": "",
    "volume inspect": "a/all f/format=",
    "volume ls": "f/filter= format= noheading q/quiet",
    "volume mount": "",
    "volume prune": "filter= f/force",
    "volume reload": "",
    "volume rm": "a/all f/force t/time=",
    "volume unmount": "",
    "wait": "condition= i/interval= l/latest",
}

# Other ways to type a command of FLAGS.
SAME: dict[str, str] = {
    "container attach": "attach",
    "container commit": "commit",
    "container cp": "cp",
    "container create": "create",
    "container diff": "diff",
    "container exec": "exec",
    "container export": "export",
    "container init": "init",
    "container kill": "kill",
    "container list": "ps",
    "container logs": "logs",
    "container mount": "mount",
    "container pause": "pause",
    "container port": "port",
    "container ps": "ps",
    "container rename": "rename",
    "container restart": "restart",
    "container rm": "rm",
    "container run": "run",
    "container start": "start",
    "container stats": "stats",
    "container stop": "stop",
    "container top": "top",
    "container unmount": "unmount",
    "container unpause": "unpause",
    "container update": "update",
    "container wait": "wait",
    "image build": "build",
    "image history": "history",
    "image import": "import",
    "image list": "images",
    "image load": "load",
    "image pull": "pull",
    "image push": "push",
    "image rm": "rmi",
    "image save": "save",
    "image search": "search",
    "image tag": "tag",
    "image untag": "untag",
    "system info": "info",
}

GROUPS = (
    "container",
    "generate",
    "healthcheck",
    "image",
    "image trust",
    "kube",
    "machine",
    "manifest",
    "network",
    "pod",
    "secret",
    "system",
    "system connection",
    "volume",
)


def takes_value(command: str, name: str) -> bool | None:
    """Whether podman's flag (`name` or `x`, without dashes) takes a value; None where it has no such flag."""
    for flag in _flags(command):
        if name in flag.rstrip("=").split("/"):
            return flag.endswith("=")
    return None


def long_name(command: str, letter: str) -> str:
    """The long name of podman's flag -x; empty where it has none."""
    for flag in _flags(command):
        if flag.startswith(f"{letter}/"):
            return flag[2:].rstrip("=")
    return ""


def has_command(command: str) -> bool:
    """Whether podman has this command or group of commands."""
    return command in FLAGS or command in SAME or command in GROUPS


def _flags(command: str) -> list[str]:
    """Those of the command and those before it; --version belongs to `podman` alone, and wpod has it."""
    return [flag for flag in f"{FLAGS.get(SAME.get(command, command), '')} {FLAGS['']}".split() if flag != "v/version"]
