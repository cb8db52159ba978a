// Copyright The Garret Authors.
// SPDX-License-Identifier: Apache-2.0

package isolation

import corev1 "k8s.io/api/core/v1"

// containerRules decide the fields of containers of all sorts.
func containerRules() []rule {
	return []rule{
		passed("args", "command", "env", "envFrom", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "name", "ports", "readinessProbe", "resizePolicy",
			"resources", "restartPolicy", "restartPolicyRules", "securityContext", "startupProbe", "stdin", "stdinOnce", "terminationMessagePath",
			"terminationMessagePolicy", "tty", "volumeDevices", "volumeMounts", "workingDir"),
	}
}

func containerTable() []typeRules {
	const copied = "the copy on the host, of the object inside"
	return []typeRules{
		of[corev1.Container](containerRules()...),
		of[corev1.EphemeralContainerCommon](containerRules()...),
		of[corev1.EphemeralContainer](passed("targetContainerName")),
		of[corev1.ContainerPort](
			passed("containerPort", "name", "protocol"),
			passed("hostIP", "hostPort").because(byPodSecurity),
		),
		of[corev1.EnvFromSource](passed("prefix"), translated(copied, "configMapRef", "secretRef")),
		of[corev1.ConfigMapEnvSource](passed("optional")),
		of[corev1.SecretEnvSource](passed("optional")),
		of[corev1.EnvVar](passed("name", "value", "valueFrom")),
		of[corev1.EnvVarSource](
			passed("resourceFieldRef"),
			passed("fileKeyRef").because("the file is in a volume of the pod"),
			translated("the field inside", "fieldRef"),
			translated(copied, "configMapKeyRef", "secretKeyRef"),
		),
		of[corev1.ConfigMapKeySelector](passed("key", "optional")),
		of[corev1.SecretKeySelector](passed("key", "optional")),
		of[corev1.FileKeySelector](passed("key", "optional", "path", "volumeName")),
		of[corev1.ResourceRequirements](
			passed("limits", "requests").because("the syncer asks the host for all resources but those that only nodes inside have"),
			withDevices("claims"),
		),
		of[corev1.ResourceClaim](passed("name", "request")),
		of[corev1.ContainerResizePolicy](passed("resourceName", "restartPolicy")),
		of[corev1.ContainerRestartRule](passed("action", "exitCodes")),
		of[corev1.ContainerRestartRuleOnExitCodes](passed("operator", "values")),
		of[corev1.VolumeMount](passed("bindMountOptions", "mountPath", "mountPropagation", "name", "readOnly", "recursiveReadOnly", "subPath", "subPathExpr")),
		of[corev1.VolumeDevice](passed("devicePath", "name")),
		of[corev1.Probe](passed("failureThreshold", "initialDelaySeconds", "periodSeconds", "successThreshold", "terminationGracePeriodSeconds", "timeoutSeconds")),
		of[corev1.ProbeHandler](passed("exec", "grpc", "httpGet", "tcpSocket")),
		of[corev1.ExecAction](passed("command")),
		of[corev1.HTTPGetAction](
			passed("httpHeaders", "path", "port", "protocol", "scheme"),
			passed("host").because(byPodSecurity),
		),
		of[corev1.HTTPHeader](passed("name", "value")),
		of[corev1.TCPSocketAction](passed("port"), passed("host").because(byPodSecurity)),
		of[corev1.GRPCAction](passed("mode", "port", "service")),
		of[corev1.Lifecycle](passed("postStart", "preStop", "stopSignal")),
		of[corev1.LifecycleHandler](passed("exec", "httpGet", "sleep", "tcpSocket")),
		of[corev1.SleepAction](passed("seconds")),
	}
}
